// Every network with DHCP has a port of the cloud's own, from whose address DHCP and metadata answer; one of IPv6 alone
// has it for metadata.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { poolsOf, takeFreeAddress } from "../ipam/allocate.ts"
import { lowestFirst, type Pool } from "../ipam/candidates.ts"
import { noteChanged } from "../sync/changes.ts"
import { insertPort } from "./insert.ts"

export const servicePortOwner = "network:distributed"

/** Makes the port equal to what the network's subnets need now. The network's row is locked by the caller. */
export async function refreshServicePort(_ctx: Ctx, tx: Tx, networkId: string): Promise<void> {
  const { rows } = await sql<{
    subnetId: string
    ipVersion: 4 | 6
    projectId: string
    portId: string | null
    address: string | null
    pools: Pool[]
  }>`
    select s.id as "subnetId", s.ip_version as "ipVersion", n.project_id as "projectId", p.id as "portId",
      host(a.address) as address,
      ${poolsOf(sql`s.id`)} as pools
    from network.network n
    left join network.subnet s on s.network_id = n.id and s.is_dhcp_enabled
    left join network.port p on p.network_id = n.id and p.device_owner = 'network:distributed'
    left join network.ip_allocation a on a.port_id = p.id and a.subnet_id = s.id
    where n.id = ${networkId} order by s.created_at, s.id`.execute(tx)
  const [first] = rows
  if (!first) return
  const wanted = rows.filter((row) => row.subnetId !== null)
  if (wanted.length === 0) {
    if (first.portId) {
      await sql`delete from network.port where id = ${first.portId}`.execute(tx)
      noteChanged(tx, { ports: [first.portId] })
    }
    return
  }
  const portId = first.portId ?? (await makePort(tx, networkId, first.projectId))
  noteChanged(tx, { ports: [portId] })
  // Over IPv6 the metadata service answers at the link's own address: the port needs none of the subnet.
  const withAddress = wanted.filter((row) => row.ipVersion === 4)
  if (first.portId) await dropOthers(tx, portId, withAddress)
  for (const [position, row] of withAddress.entries()) {
    // A subnet without a free address goes without: its machines' addresses are worth more.
    if (!row.address)
      await takeFreeAddress(
        tx,
        { subnetId: row.subnetId, networkId, portId, position },
        row.pools,
        // Where people expect the cloud's own: the addresses that they ask for by name lie above.
        lowestFirst,
      )
  }
}

/** Addresses on subnets that need none any more. */
async function dropOthers(
  tx: Tx,
  portId: string,
  wanted: readonly { address: string | null }[],
): Promise<void> {
  const kept = wanted.flatMap((row) => row.address ?? [])
  await sql`delete from network.ip_allocation
    where port_id = ${portId} and address <> all(${kept}::inet[])`.execute(tx)
}

async function makePort(tx: Tx, networkId: string, projectId: string): Promise<string> {
  const { id } = await insertPort(tx, {
    networkId,
    projectId,
    deviceId: `ovnmeta-${networkId}`,
    deviceOwner: servicePortOwner,
    fixedIps: [],
    portSecurityEnabled: false,
  })
  return id
}
