import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { dropPortForwardingsOf } from "../port-forwarding/delete.ts"
import { noteChanged } from "../sync/changes.ts"

/** Floating IPs that point at the port (or at some of its addresses) point at nothing; ports forwarded to it go. */
export async function releaseFloatingIpsOf(
  tx: Tx,
  portId: string,
  addresses?: readonly string[],
): Promise<void> {
  const which = addresses === undefined ? sql`true` : sql`fixed_ip_address = any(${addresses}::inet[])`
  const { rows } = await sql<{ id: string }>`update network.floating_ip
    set fixed_port_id = null, fixed_ip_address = null, router_id = null, status = 'DOWN',
      generation = generation + 1, updated_at = now()
    where fixed_port_id = ${portId} and ${which} returning id`.execute(tx)
  noteChanged(tx, { floatingIps: rows.map((row) => row.id) })
  await dropPortForwardingsOf(tx, portId, addresses)
}
