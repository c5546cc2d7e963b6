// Another name of Nova's for its servers, from the days when those that boot from a volume had one of their own. All is
// the same below it; links in answers have the newer name.
import type { Route } from "../../platform/http/wire.ts"
import { serverActionRoutes } from "./server-actions.ts"
import { serverRoutes } from "./servers.ts"

export const volumesBootRoutes: readonly Route[] = [...serverRoutes, ...serverActionRoutes].map((route) => {
  const path = route.path.replace("/servers", "/os-volumes_boot")
  return { ...route, path, aliasOf: route.path, asking: { ...route.asking, name: `${route.method} ${path}` } }
})
