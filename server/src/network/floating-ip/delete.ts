import { sql } from "kysely"
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { floatingIpForwards, floatingIpNotFound, revisionMismatch } from "../faults.ts"
import { notify } from "../resource/notify.ts"
import { change, lockRow, RevisionInput } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { floatingIpTarget } from "./floating-ip.ts"
import { loadFloatingIp } from "./read.ts"

export const deleteFloatingIp = operation({
  name: "network.floating_ip.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [floatingIpNotFound, floatingIpForwards, revisionMismatch],
  load: (ctx, { id }) => loadFloatingIp(ctx.db, id, viewerOf(ctx)),
  rule: "delete_floatingip",
  target: (_ctx, _input, fip) => floatingIpTarget(fip),
  run: async (ctx, { id: floatingIpId, expectedRevision }, fip) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "floatingIp", floatingIpId, floatingIpNotFound, expectedRevision)
      const { rows } = await sql`select from network.port_forwarding where floating_ip_id = ${floatingIpId}
        limit 1`.execute(tx)
      if (rows.length > 0) throw floatingIpForwards(floatingIpId)
      await sql`delete from network.floating_ip where id = ${floatingIpId}`.execute(tx)
      await sql`delete from network.port where id = ${fip.floatingPortId}`.execute(tx)
      await notify(ctx, tx, "floatingip", "delete", [fip])
    }),
})
