// What the matrix is made from: every declared route once, with what its path and its body name.
import type { TSchema } from "typebox"
import { apisOf } from "../../src/engine/service.ts"
import { type Microversion, parseMicroversion } from "../../src/platform/http/microversion.ts"
import { type BodySchema, schemaFor } from "../../src/platform/http/versions.ts"
import type { Api, HttpMethod, Route } from "../../src/platform/http/wire.ts"
import { services } from "../../src/services.ts"

export interface Probe {
  service: string
  method: HttpMethod
  /** `POST /servers/{server_id}/action lock` */
  name: string
  /** As declared: `/servers/{server_id}`. */
  path: string
  /** What stands before the path. */
  mount: string
  headers: Record<string, string>
  params: readonly string[]
  action: string | null
  schema: TSchema | null
  /** Places in the body that name things. */
  bodyIds: readonly string[]
  /** Whether the handler reads something else than JSON. */
  isRaw: boolean
}

const newest: Microversion = { major: 2, minor: 999 }

/** One for each route, and for each action of one; routes that are served at several versions count once. */
export function probes(): Probe[] {
  const seen = new Set<Route>()
  return apisOf(services).flatMap((api) =>
    api.routes.flatMap((route) => {
      if (seen.has(route) || route.aliasOf !== undefined) return []
      seen.add(route)
      const bodies = Object.entries(route.actionBodies ?? {})
      if (bodies.length === 0) return [probeOf(api, route, null, { schema: route.body, max: route.max })]
      return bodies.map(([action, body]) => probeOf(api, route, action, body))
    }),
  )
}

function probeOf(
  api: Api,
  route: Route,
  action: string | null,
  body: { schema?: BodySchema | undefined; max?: string | undefined },
): Probe {
  const version = body.max ?? api.microversions?.max
  const asked = (version === undefined ? undefined : parseMicroversion(version)) ?? newest
  const schema = (body.schema && schemaFor(body.schema, asked)) ?? null
  return {
    service: api.service,
    method: route.method,
    name: `${route.method} ${route.path}${action === null ? "" : ` ${action}`}`,
    path: route.path,
    mount: `${api.mounts[0] ?? ""}${api.version}`,
    headers: version === undefined ? {} : { "openstack-api-version": `${api.service} ${version}` },
    params: [...route.path.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? ""),
    action,
    schema,
    bodyIds: idsIn(schema ?? plainBody(route.told?.body), ""),
    isRaw: route.rawBody === true,
  }
}

/** Of a body that has several forms the first: the others say the same of several things. */
function plainBody(told: BodySchema | undefined): TSchema {
  const schema = told && schemaFor(told, newest)
  const { oneOf } = (schema ?? {}) as { oneOf?: readonly TSchema[] }
  return oneOf?.[0] ?? schema ?? {}
}

/** Names of fields that name things; their formats say so, too. */
const idName =
  /(^|_|:)(id|ids|uuid|uuids|project|tenant|user)$|(Ref|Id|Uuid)$|^(port|networks?|subnets?|groups?|members?)$/

function idsIn(schema: TSchema, at: string): string[] {
  const found = new Set<string>()
  const visit = (part: unknown, path: string, name: string) => {
    if (typeof part !== "object" || part === null) return
    const { properties, items, format, anyOf, oneOf, allOf } = part as Record<string, unknown>
    for (const options of [anyOf, oneOf, allOf])
      if (Array.isArray(options)) for (const option of options) visit(option, path, name)
    if (typeof properties === "object" && properties !== null) {
      for (const [key, value] of Object.entries(properties)) visit(value, path ? `${path}.${key}` : key, key)
      return
    }
    if (typeof items === "object") return visit(items, `${path}[]`, name)
    const isText = !("type" in part) || String((part as { type: unknown }).type).includes("string")
    if (isText && (format === "uuid" || idName.test(name))) found.add(path)
  }
  visit(schema, at, "")
  return [...found]
}
