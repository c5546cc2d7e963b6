import { all, each, links, shape, text } from "../../api/openstack/shape.ts"
import { type Api, route } from "../../platform/http/wire.ts"
import { allocationRoutes } from "./allocations.ts"
import { candidateRoutes } from "./candidates.ts"
import { renderFault } from "./fault-table.ts"
import { inventoryRoutes } from "./inventories.ts"
import { providerRoutes } from "./providers.ts"
import { answer, inJson } from "./reply.ts"
import { resourceClassRoutes } from "./resource-classes.ts"
import { traitRoutes } from "./traits.ts"
import { microversions } from "./versions.ts"

const version = shape("Version", { ...each("id max_version min_version status", text), links })

const root = route({
  method: "GET",
  path: "/",
  policy: "public",
  told: all("versions", version),
  handler: async (ctx, req) => {
    const version = {
      id: `v${microversions.min}`,
      max_version: microversions.max,
      min_version: microversions.min,
      status: "CURRENT",
      links: [{ rel: "self", href: "" }],
    }
    return answer(ctx, req, { versions: [version] })
  },
})

/** The placement API. */
export const placementApi: Api = {
  service: "placement",
  mounts: ["/placement"],
  version: "",
  routes: [
    root,
    ...[
      ...providerRoutes,
      ...inventoryRoutes,
      ...resourceClassRoutes,
      ...traitRoutes,
      ...allocationRoutes,
      ...candidateRoutes,
    ].map(inJson),
  ],
  microversions,
  renderFault,
  checksPolicyBeforeBody: true,
}
