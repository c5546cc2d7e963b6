// How many addresses of a network's subnets there are, and how many are in use.
import { sql } from "kysely"
import { Type } from "typebox"
import { isUuid } from "../../platform/ids/ids.ts"
import { parseAddress } from "../../platform/net/address.ts"
import { operation } from "../../platform/operation/operation.ts"
import { networkNotFound } from "../faults.ts"
import { poolsOf } from "../ipam/allocate.ts"
import { visibleNetwork } from "../network/read.ts"
import type { AddressPool } from "../subnet/subnet.ts"

export interface SubnetAvailability {
  subnetId: string
  subnetName: string
  cidr: string
  ipVersion: 4 | 6
  totalIps: bigint
  usedIps: number
}

export interface NetworkAvailability {
  networkId: string
  networkName: string
  projectId: string
  totalIps: bigint
  usedIps: number
  subnets: SubnetAvailability[]
}

interface Row extends Omit<SubnetAvailability, "totalIps"> {
  pools: AddressPool[]
  networkId: string
  networkName: string
  projectId: string
}

const Query = Type.Object({
  networkIds: Type.Optional(Type.Array(Type.String())),
  networkNames: Type.Optional(Type.Array(Type.String())),
  projectIds: Type.Optional(Type.Array(Type.String())),
  ipVersion: Type.Optional(Type.Union([Type.Literal(4), Type.Literal(6)])),
})

export const listNetworkAvailability = operation({
  name: "network.availability.list",
  input: Query,
  rule: "get_network_ip_availability",
  run: async (ctx, query): Promise<NetworkAvailability[]> => {
    const { networkIds, networkNames, projectIds, ipVersion } = query
    const ofVersion = ipVersion === undefined ? sql`` : sql`and s.ip_version = ${ipVersion}`
    // Only what was asked for, so that an index serves it.
    const asked = [
      sql`true`,
      ...(networkIds ? [sql`n.id = any(${networkIds.filter(isUuid)}::uuid[])`] : []),
      ...(networkNames ? [sql`n.name = any(${networkNames}::text[])`] : []),
      ...(projectIds ? [sql`n.project_id = any(${projectIds}::text[])`] : []),
    ]
    const { rows } = await sql<Row>`
      select n.id as "networkId", n.name as "networkName", n.project_id as "projectId", s.id as "subnetId",
        s.name as "subnetName", s.cidr::text as cidr, s.ip_version as "ipVersion",
        (select count(*)::integer from network.ip_allocation a where a.subnet_id = s.id) as "usedIps",
        ${poolsOf(sql`s.id`)} as pools
      from network.network n left join network.subnet s on s.network_id = n.id ${ofVersion}
      where ${sql.join(asked, sql` and `)} order by n.created_at, n.id, s.created_at`.execute(ctx.db)
    return groupByNetwork(rows)
  },
})

export const getNetworkAvailability = operation({
  name: "network.availability.get",
  input: Type.Object({ networkId: Type.String() }),
  faults: [networkNotFound],
  load: (ctx, { networkId }) => visibleNetwork(ctx, networkId),
  rule: "get_network_ip_availability",
  run: async (ctx, _input, network) => {
    const [found] = await listNetworkAvailability(ctx, { networkIds: [network.id] })
    if (!found) throw networkNotFound(network.id)
    return found
  },
})

function groupByNetwork(rows: readonly Row[]): NetworkAvailability[] {
  const networks = new Map<string, NetworkAvailability>()
  for (const { networkId, networkName, projectId, pools, ...subnet } of rows) {
    let network = networks.get(networkId)
    if (!network) {
      network = { networkId, networkName, projectId, totalIps: 0n, usedIps: 0, subnets: [] }
      networks.set(networkId, network)
    }
    if (subnet.subnetId === null) continue
    const totalIps = sizeOf(pools)
    network.subnets.push({ ...subnet, totalIps })
    network.totalIps += totalIps
    network.usedIps += subnet.usedIps
  }
  return [...networks.values()]
}

/** Addresses that are given out without being asked for by name. */
function sizeOf(pools: readonly AddressPool[]): bigint {
  let size = 0n
  for (const pool of pools) {
    const start = parseAddress(pool.start)
    const end = parseAddress(pool.end)
    if (start && end) size += end.value - start.value + 1n
  }
  return size
}
