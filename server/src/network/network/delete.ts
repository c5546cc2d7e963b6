import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { violatedConstraint } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { networkInUse, networkNotFound, revisionMismatch } from "../faults.ts"
import { notify } from "../resource/notify.ts"
import { change, lockRow, RevisionInput } from "../resource/standard.ts"
import { noteChanged } from "../sync/changes.ts"
import { networkTarget } from "./network.ts"
import { visibleNetwork } from "./read.ts"

/** Deletes the network with its subnets; ports other than the cloud's own must be gone. */
export const deleteNetwork = operation({
  name: "network.network.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [networkNotFound, networkInUse, revisionMismatch],
  load: (ctx, { id }) => visibleNetwork(ctx, id),
  rule: "delete_network",
  target: (_ctx, _input, before) => networkTarget(before),
  run: async (ctx, { id: networkId, expectedRevision }, before) => {
    try {
      await change(ctx, async (tx) => {
        await lockRow(tx, "network", networkId, networkNotFound, expectedRevision)
        await dropIdleFloatingIps(tx, networkId)
        const inUse = await sql`select from network.port where network_id = ${networkId}
          and device_owner <> 'network:distributed' limit 1`.execute(tx)
        if (inUse.rows.length > 0) throw networkInUse(networkId)
        await deletePortsAndSubnets(tx, networkId)
        await sql`delete from network.rbac_policy where object_id = ${networkId} and object_type = 'network'`.execute(
          tx,
        )
        await sql`delete from network.network where id = ${networkId}`.execute(tx)
        await notify(ctx, tx, "network", "delete", [before])
      })
    } catch (error) {
      // A port came between the question and the delete.
      if (violatedConstraint(error)) throw networkInUse(networkId)
      throw error
    }
  },
})

/** Those that are left when the network may go. */
export async function deletePortsAndSubnets(tx: Tx, networkId: string): Promise<void> {
  const ports = await sql<{ id: string }>`delete from network.port where network_id = ${networkId}
    returning id`.execute(tx)
  const subnets = await sql<{ id: string }>`delete from network.subnet where network_id = ${networkId}
    returning id`.execute(tx)
  const ids = (found: typeof ports) => found.rows.map((row) => row.id)
  noteChanged(tx, { networks: [networkId], ports: ids(ports), subnets: ids(subnets) })
}

/** Floating IPs that point at nothing do not hold their network. */
async function dropIdleFloatingIps(tx: Tx, networkId: string): Promise<void> {
  const { rows } = await sql<{ portId: string }>`delete from network.floating_ip
    where floating_network_id = ${networkId} and router_id is null
    returning floating_port_id as "portId"`.execute(tx)
  await sql`delete from network.port where id = any(${rows.map((row) => row.portId)}::uuid[])`.execute(tx)
}
