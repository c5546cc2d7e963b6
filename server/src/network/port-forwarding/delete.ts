import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { floatingIpNotFound, portForwardingNotFound } from "../faults.ts"
import { notify } from "../resource/notify.ts"
import { change, lockRow } from "../resource/standard.ts"
import { noteChanged } from "../sync/changes.ts"
import { loadSeen, OnePortForwarding, portForwardingTarget } from "./read.ts"

export const deletePortForwarding = operation({
  name: "network.port_forwarding.delete",
  input: OnePortForwarding,
  faults: [floatingIpNotFound, portForwardingNotFound],
  load: loadSeen,
  rule: "delete_floatingip_port_forwarding",
  target: (_ctx, _input, forwarding) => portForwardingTarget(forwarding),
  run: async (ctx, { floatingIpId, id: forwardingId }, forwarding) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "floatingIp", floatingIpId, floatingIpNotFound)
      const { numAffectedRows } =
        await sql`delete from network.port_forwarding where id = ${forwardingId}`.execute(tx)
      if (numAffectedRows !== 1n) throw portForwardingNotFound(forwardingId)
      await forwardingsGone(tx, [forwardingId], [floatingIpId])
      await notify(ctx, tx, "port_forwarding", "delete", [forwarding])
    }),
})

/** Those that lead to the port (or to some of its addresses) go. The port's row is locked. */
export async function dropPortForwardingsOf(
  tx: Tx,
  portId: string,
  addresses?: readonly string[],
): Promise<void> {
  const which = addresses === undefined ? sql`true` : sql`internal_ip_address = any(${addresses}::inet[])`
  const { rows } = await sql<{ id: string; floatingIpId: string }>`delete from network.port_forwarding
    where internal_port_id = ${portId} and ${which} returning id, floating_ip_id as "floatingIpId"`.execute(
    tx,
  )
  if (rows.length === 0) return
  const floatingIpIds = [...new Set(rows.map((row) => row.floatingIpId))]
  // Held before it is looked at: another forwarding of it may be on its way.
  await sql`select from network.floating_ip where id = any(${floatingIpIds}::uuid[])
    order by id for update`.execute(tx)
  await forwardingsGone(
    tx,
    rows.map((row) => row.id),
    floatingIpIds,
  )
}

/** A floating IP without its last one is free, and on no router. Its row is locked. */
async function forwardingsGone(
  tx: Tx,
  ids: readonly string[],
  floatingIpIds: readonly string[],
): Promise<void> {
  await sql`update network.floating_ip f set generation = f.generation + 1, updated_at = now(),
      router_id = case when x.has_more then f.router_id end, status = case when x.has_more then f.status else 'DOWN' end
    from (select id, exists (select from network.port_forwarding w where w.floating_ip_id = o.id) as has_more
      from network.floating_ip o where o.id = any(${floatingIpIds}::uuid[])) x
    where f.id = x.id`.execute(tx)
  noteChanged(tx, { portForwardings: ids })
}
