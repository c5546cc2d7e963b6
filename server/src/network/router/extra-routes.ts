import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { badRoutes, routerNotFound, tooManyRoutes } from "../faults.ts"
import { change, lockRow, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { HostRoute } from "../subnet/subnet.ts"
import { loadRouter } from "./read.ts"
import { routerTarget } from "./router.ts"
import { checkRoutes } from "./routes.ts"

/** Adds or removes some of a router's routes; those that are there (or not there) already are no matter. */
function extraRoutesVerb(how: "add" | "remove") {
  return operation({
    name: `network.router.${how}_extra_routes`,
    input: Type.Object({
      routerId: Type.String(),
      routes: Type.Array(HostRoute),
    }),
    faults: [routerNotFound, badRoutes, tooManyRoutes],
    load: (ctx, { routerId }) => loadRouter(ctx.db, routerId, viewerOf(ctx)),
    rule: `${how}_extraroutes`,
    target: (_ctx, _input, router) => routerTarget(router),
    run: async (ctx, { routerId, routes }) =>
      await change(ctx, async (tx) => {
        await lockRow(tx, "router", routerId, routerNotFound)
        const router = await loadRouter(tx, routerId)
        const key = (r: { destination: string; nexthop: string }) => `${r.destination} ${r.nexthop}`
        const named = new Set(routes.map(key))
        const others = router.routes.filter((r) => !named.has(key(r)))
        const wanted = how === "add" ? [...others, ...routes] : others
        const checked = await checkRoutes(tx, routerId, wanted, ctx.config.network.routesMax)
        await updateRow(tx, "router", routerId, { routes: JSON.stringify(checked) })
        return await loadRouter(tx, routerId)
      }),
  })
}

export const addExtraRoutes = extraRoutesVerb("add")
export const removeExtraRoutes = extraRoutesVerb("remove")
