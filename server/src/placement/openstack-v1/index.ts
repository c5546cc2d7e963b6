import { type Api, route } from "../../platform/http/wire.ts"
import { allocationRoutes } from "./allocations.ts"
import { candidateRoutes } from "./candidates.ts"
import { renderFault } from "./fault-table.ts"
import { inventoryRoutes } from "./inventories.ts"
import { nameRoutes } from "./names.ts"
import { plan } from "./plan.ts"
import { providerRoutes } from "./providers.ts"
import { answer } from "./reply.ts"

const root = route({
  method: "GET",
  path: "/",
  policy: "public",
  handler: async (ctx, req) => {
    const version = {
      id: `v${plan.min}`,
      max_version: plan.max,
      min_version: plan.min,
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
    ...providerRoutes,
    ...inventoryRoutes,
    ...nameRoutes,
    ...allocationRoutes,
    ...candidateRoutes,
  ],
  microversions: plan,
  renderFault,
  checksPolicyBeforeBody: true,
}
