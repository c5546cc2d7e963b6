import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import {
  badRequest,
  badRoutes,
  gatewayNeededByFloatingIp,
  networkNotFound,
  revisionMismatch,
  routerNotFound,
  tooManyRoutes,
} from "../faults.ts"
import { policyFaults } from "../qos/use.ts"
import { notify } from "../resource/notify.ts"
import { change, lockRow, RevisionInput, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { gatewayRules, setGateway } from "./gateway.ts"
import { loadRouter } from "./read.ts"
import { routerNoun, routerTarget } from "./router.ts"
import { checkRoutes } from "./routes.ts"

export const updateRouter = operation({
  name: "network.router.update",
  input: Type.Object({
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: routerNoun.changes,
  }),
  faults: [
    routerNotFound,
    networkNotFound,
    badRequest,
    badRoutes,
    tooManyRoutes,
    gatewayNeededByFloatingIp,
    revisionMismatch,
    ...policyFaults,
  ],
  load: (ctx, { id }) => loadRouter(ctx.db, id, viewerOf(ctx)),
  rules: ["update_router"],
  authorize: (_ctx, { changes }, router) => [
    ["update_router", routerTarget(router)],
    ...gatewayRules("update_router", routerTarget(router), changes.externalGatewayInfo),
  ],
  run: async (ctx, { id: routerId, expectedRevision, changes }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "router", routerId, routerNotFound, expectedRevision)
      const router = await loadRouter(tx, routerId)
      if (changes.externalGatewayInfo !== undefined)
        await setGateway(ctx, tx, router, changes.externalGatewayInfo)
      const routes =
        changes.routes && (await checkRoutes(tx, routerId, changes.routes, ctx.config.network.routesMax))
      await updateRow(tx, "router", routerId, {
        name: changes.name,
        description: changes.description,
        is_admin_up: changes.adminStateUp,
        routes: routes && JSON.stringify(routes),
      })
      const changed = await loadRouter(tx, routerId)
      await notify(ctx, tx, "router", "update", [changed])
      return changed
    }),
})
