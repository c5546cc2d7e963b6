// Paths as clients of other days write them, turned into those of today before any route is looked for.
import type { Api } from "./wire.ts"

/** The address as today's routes have it. */
export function oldUrlReader(apis: readonly Api[]): (url: string) => string {
  const old = apis.filter((api) => api.oldPaths !== undefined)
  return (url) => {
    for (const api of old) {
      const place = placeIn(api, url)
      if (place) return `${place.prefix}${api.oldPaths?.plain(place.path)}${place.query}`
    }
    return url
  }
}

/** The address from the API's version on, without the query. */
export function pathBelow(api: Api, url: string): string {
  return placeIn(api, url)?.path ?? ""
}

function placeIn(api: Api, url: string): { prefix: string; path: string; query: string } | undefined {
  const end = url.indexOf("?")
  const [path, query] = end < 0 ? [url, ""] : [url.slice(0, end), url.slice(end)]
  for (const mount of api.mounts) {
    const prefix = `${mount}${api.version}`
    if (path.startsWith(`${prefix}/`)) return { prefix, path: path.slice(prefix.length), query }
  }
  return undefined
}
