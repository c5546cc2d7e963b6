// Which API a path belongs to, and which methods it has there: asked only for requests that no route takes.
import type { Api, Route } from "./wire.ts"

export interface Place {
  api: Api
  /** Below the version, where a token is needed; else beside it, where discovery lies. */
  isBelowVersion: boolean
}

export interface Paths {
  /** Null: no API's. */
  placeOf(path: string): Place | null
  /** Methods that routes of this path have, none for an unknown path. */
  methodsOf(api: Api, path: string): string[]
}

export function createPaths(apis: readonly Api[]): Paths {
  const prefixes = apis
    .flatMap((api) =>
      api.mounts.flatMap((mount) => [
        { prefix: `${mount}${api.version}`, place: { api, isBelowVersion: true } },
        { prefix: mount, place: { api, isBelowVersion: false } },
      ]),
    )
    .filter(({ prefix }) => prefix !== "")
    // The longest says most. Of equal ones the first: an API without a version has everything below it.
    .sort((a, b) => b.prefix.length - a.prefix.length)
  const patterns = new Map<Api, { method: string; pattern: RegExp }[]>()
  const patternsOf = (api: Api) => {
    const found = patterns.get(api) ?? api.mounts.flatMap((mount) => routePatterns(api, mount))
    patterns.set(api, found)
    return found
  }
  return {
    placeOf: (path) => prefixes.find(({ prefix }) => isBelow(path, prefix))?.place ?? null,
    methodsOf: (api, path) => {
      const found = patternsOf(api).filter(({ pattern }) => pattern.test(path))
      return [...new Set(found.map(({ method }) => method))].sort()
    },
  }
}

function isBelow(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`)
}

function routePatterns(api: Api, mount: string): { method: string; pattern: RegExp }[] {
  const of = (prefix: string, routes: readonly Route[]) =>
    routes.map(({ method, path }) => ({ method, pattern: patternOf(`${prefix}${path}`) }))
  return [...of(mount, api.rootRoutes ?? []), ...of(`${mount}${api.version}`, api.routes)]
}

/** `/things/` is not `/things`, but a thing without an id, which is not there whatever the method. */
function patternOf(path: string): RegExp {
  const parts = path.replace(/\/$/, "").split(/\{[^}]+\}/)
  const text = parts.map((part) => part.replaceAll(/[.*+?^$()|[\]\\]/g, "\\$&")).join("[^/]+")
  return new RegExp(`^${text}${path.endsWith("/") ? "/?" : ""}$`)
}
