import { sql } from "kysely"
import { Type } from "typebox"
import { violatedConstraint } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { revisionMismatch, routerInUse, routerNotFound } from "../faults.ts"
import { notify } from "../resource/notify.ts"
import { change, lockRow, RevisionInput } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { loadRouter } from "./read.ts"
import { routerTarget } from "./router.ts"

export const deleteRouter = operation({
  name: "network.router.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [routerNotFound, routerInUse, revisionMismatch],
  load: (ctx, { id }) => loadRouter(ctx.db, id, viewerOf(ctx)),
  rule: "delete_router",
  target: (_ctx, _input, router) => routerTarget(router),
  run: async (ctx, { id: routerId, expectedRevision }, router) => {
    try {
      await change(ctx, async (tx) => {
        await lockRow(tx, "router", routerId, routerNotFound, expectedRevision)
        const { rows } =
          await sql`select from network.router_interface where router_id = ${routerId} limit 1`.execute(tx)
        if (rows.length > 0) throw routerInUse(routerId)
        await sql`delete from network.port where device_id = ${routerId} and device_owner = 'network:router_gateway'`.execute(
          tx,
        )
        await sql`delete from network.router where id = ${routerId}`.execute(tx)
        await notify(ctx, tx, "router", "delete", [router])
      })
    } catch (error) {
      if (violatedConstraint(error)) throw routerInUse(routerId)
      throw error
    }
  },
})
