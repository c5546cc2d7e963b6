// How many addresses of a network's subnets there are, and how many are in use.
import { sql } from "kysely"
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { networkNotFound } from "../faults.ts"
import { parseAddress } from "../ipam/address.ts"
import { poolsOf } from "../ipam/allocate.ts"
import { loadNetwork } from "../network/read.ts"
import type { AddressPool } from "../subnet/subnet.ts"

export interface SubnetAvailability {
  subnetId: string
  subnetName: string
  cidr: string
  ipVersion: 4 | 6
  totalIps: number
  usedIps: number
}

export interface NetworkAvailability {
  networkId: string
  networkName: string
  projectId: string
  totalIps: number
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
  authorize: () => [["get_network_ip_availability", {}]],
  run: async (ctx, query): Promise<NetworkAvailability[]> => {
    const { rows } = await sql<Row>`
      select n.id as "networkId", n.name as "networkName", n.project_id as "projectId", s.id as "subnetId",
        s.name as "subnetName", s.cidr::text as cidr, s.ip_version as "ipVersion",
        (select count(*)::integer from network.ip_allocation a where a.subnet_id = s.id) as "usedIps",
        ${poolsOf(sql`s.id`)} as pools
      from network.network n left join network.subnet s on s.network_id = n.id
        and (${query.ipVersion ?? null}::integer is null or s.ip_version = ${query.ipVersion ?? null})
      where (${query.networkIds ?? null}::text[] is null or n.id::text = any(${query.networkIds ?? null}::text[]))
        and (${query.networkNames ?? null}::text[] is null or n.name = any(${query.networkNames ?? null}::text[]))
        and (${query.projectIds ?? null}::text[] is null or n.project_id = any(${query.projectIds ?? null}::text[]))
      order by n.created_at, n.id, s.created_at`.execute(ctx.db)
    return groupByNetwork(rows)
  },
})

export const getNetworkAvailability = operation({
  name: "network.availability.get",
  input: Type.Object({ networkId: Type.String() }),
  faults: [networkNotFound],
  load: (ctx, { networkId }) => loadNetwork(ctx.db, networkId),
  authorize: () => [["get_network_ip_availability", {}]],
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
      network = { networkId, networkName, projectId, totalIps: 0, usedIps: 0, subnets: [] }
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

/** Addresses that are given out without being asked for by name; an IPv6 count loses its last digits. */
function sizeOf(pools: readonly AddressPool[]): number {
  let size = 0n
  for (const pool of pools) {
    const start = parseAddress(pool.start)
    const end = parseAddress(pool.end)
    if (start && end) size += end.value - start.value + 1n
  }
  return Number(size)
}
