// Which route takes a request: a tree of the parts of the paths, of all APIs. Fastify's own router makes a function for
// each part of each path and several objects for each of some 1,500 routes: a fifth of the processor time of a start.
import { invalid } from "../fault/fault.ts"
import type { Api, HttpMethod, Route } from "./wire.ts"

/** Routes of one method and path together: they differ in their microversions. */
interface RouteGroup {
  api: Api
  routes: readonly [Route, ...Route[]]
  /** Null: that of the server. */
  bodyLimitBytes: number | null
  /** The handler reads the stream itself; whether strangers may send one. Null: a body is taken in first. */
  raw: { isPublic: boolean } | null
}

export interface FoundRoute extends RouteGroup {
  /** By name; what `*` stands for by that. Decoded. */
  params: Record<string, string>
}

export interface Router {
  /**
   * `path` as it came, with its query. Null: no route has it, or not with this method. What says more of a path comes
   * before what may be anything; a slash at the end does not matter. Fault `invalid` for a part that is too long.
   */
  find(method: string, path: string): FoundRoute | null
}

/** Characters of a part that a parameter stands for. */
const parameterLengthMax = 512

/** A place in the tree: what ends here by its method, and what comes next. */
interface Place {
  ends: Map<string, End>
  /** By the text of the part. */
  fixed: Map<string, Place>
  /** Whatever the part is. */
  open: Place | null
  /** Whatever follows, by method. */
  rest: Map<string, End> | null
}

interface End {
  group: RouteGroup
  /** Of the parameters, in their order. */
  names: readonly string[]
}

const newPlace = (): Place => ({ ends: new Map(), fixed: new Map(), open: null, rest: null })

export function createRouter(apis: readonly Api[]): Router {
  const root = newPlace()
  for (const api of apis)
    for (const [key, group] of groupRoutes(api))
      for (const mount of api.mounts) add(root, key.method, `${mount}${key.path}`, group)
  return {
    find(method, path) {
      const end = path.search(/[?#]/)
      const parts = decoded(partsOf(end < 0 ? path : path.slice(0, end)))
      const values: string[] = []
      const found = parts && walk(root, method, parts, 0, values)
      if (!found) return null
      const { group, names } = found
      if (values.some((value) => value.length > parameterLengthMax))
        throw invalid("url", `A part of the address is longer than ${parameterLengthMax} characters.`)
      const params = Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""]))
      return { ...group, params }
    },
  }
}

/** Between the slashes; none for the root. */
function partsOf(path: string): string[] {
  const parts = path.slice(1).split("/")
  if (parts.at(-1) === "") parts.pop()
  return parts
}

/** Null: not UTF-8. */
function decoded(parts: string[]): string[] | null {
  try {
    return parts.map((part) => (part.includes("%") ? decodeURIComponent(part) : part))
  } catch {
    return null
  }
}

/** The values of parameters are those of the way that led to an end. */
function walk(place: Place, method: string, parts: string[], at: number, values: string[]): End | undefined {
  const part = parts[at]
  if (part === undefined) {
    const end = place.ends.get(method)
    if (end) return end
  } else {
    const next = place.fixed.get(part)
    const found = next && walk(next, method, parts, at + 1, values)
    if (found) return found
    if (place.open && part !== "") {
      values.push(part)
      const open = walk(place.open, method, parts, at + 1, values)
      if (open) return open
      values.pop()
    }
  }
  const rest = place.rest?.get(method)
  if (rest) values.push(parts.slice(at).join("/"))
  return rest
}

function add(root: Place, method: HttpMethod, path: string, group: RouteGroup): void {
  const names: string[] = []
  let place = root
  for (const part of partsOf(path)) {
    const name = /^\{([^}]+)\}$/.exec(part)?.[1]
    if (part === "*") {
      place.rest ??= new Map()
      put(place.rest, method, path, { group, names: [...names, "*"] })
      return
    }
    if (name === undefined && /[{*]/.test(part)) throw new Error(`${path}: a parameter is a whole part`)
    if (name === undefined) place = getOrPut(place.fixed, part)
    else {
      names.push(name)
      place.open ??= newPlace()
      place = place.open
    }
  }
  put(place.ends, method, path, { group, names })
}

function getOrPut(places: Map<string, Place>, part: string): Place {
  const found = places.get(part) ?? newPlace()
  places.set(part, found)
  return found
}

function put(ends: Map<string, End>, method: string, path: string, end: End): void {
  if (ends.has(method)) throw new Error(`${method} ${path}: two routes have it`)
  ends.set(method, end)
}

interface RouteKey {
  method: HttpMethod
  /** From the mount on. */
  path: string
}

function groupRoutes(api: Api): [RouteKey, RouteGroup][] {
  const groups = new Map<string, { key: RouteKey; routes: [Route, ...Route[]] }>()
  const gather = (prefix: string, routes: readonly Route[]) => {
    for (const route of routes) {
      const key = { method: route.method, path: `${prefix}${route.path}` }
      const text = `${key.method} ${key.path}`
      const found = groups.get(text)
      if (found) found.routes.push(route)
      else groups.set(text, { key, routes: [route] })
    }
  }
  gather("", api.rootRoutes ?? [])
  gather(api.version, api.routes)
  return [...groups.values()].map(({ key, routes }) => {
    const limit = Math.max(...routes.map((route) => route.bodyLimitBytes ?? 0))
    const raw = routes.find((route) => route.rawBody)
    return [
      key,
      {
        api,
        routes,
        bodyLimitBytes: limit > 0 ? limit : null,
        raw: raw ? { isPublic: raw.policy === "public" } : null,
      },
    ]
  })
}
