// Gives addresses to ports. The primary key (subnet, address) decides races: who loses asks again.
import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"

export interface Allocation {
  subnetId: string
  networkId: string
  portId: string
  position: number
}

/** Each lost race means that another request won an address; so many at once are not believable. */
const attemptsMax = 100

/**
 * Takes the lowest free address of the subnet's pools: a pool's first, or the one after an address in use.
 * Null when the pools are used up.
 */
export async function takeLowestAddress(tx: Tx, a: Allocation): Promise<string | null> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const { rows } = await sql<{ candidate: string | null; taken: string | null }>`
      with candidate as (
        select c.address from (
          select p.first_address as address from network.allocation_pool p where p.subnet_id = ${a.subnetId}
          union
          select x.address + 1 from network.ip_allocation x where x.subnet_id = ${a.subnetId}
            and x.address < (select max(p.last_address) from network.allocation_pool p
              where p.subnet_id = ${a.subnetId})
        ) c
        join network.allocation_pool p on p.subnet_id = ${a.subnetId}
          and c.address between p.first_address and p.last_address
        where not exists (
          select from network.ip_allocation x where x.subnet_id = ${a.subnetId} and x.address = c.address)
        order by c.address limit 1
      ), taken as (
        insert into network.ip_allocation (subnet_id, address, network_id, port_id, position)
        select ${a.subnetId}::uuid, address, ${a.networkId}::uuid, ${a.portId}::uuid, ${a.position}::integer
        from candidate on conflict do nothing returning address
      )
      select (select host(address) from candidate) as candidate, (select host(address) from taken) as taken`.execute(
      tx,
    )
    const row = rows[0]
    if (!row?.candidate) return null
    if (row.taken) return row.taken
  }
  return null
}

/** Takes that very address; false when it is in use. */
export async function takeAddress(tx: Tx, a: Allocation, address: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into network.ip_allocation (subnet_id, address, network_id, port_id, position)
    values (${a.subnetId}, ${address}, ${a.networkId}, ${a.portId}, ${a.position}) on conflict do nothing`.execute(
    tx,
  )
  return numAffectedRows === 1n
}

export async function releaseAddresses(tx: Tx, portId: string, addresses?: readonly string[]): Promise<void> {
  if (addresses === undefined) {
    await sql`delete from network.ip_allocation where port_id = ${portId}`.execute(tx)
  } else if (addresses.length > 0) {
    await sql`delete from network.ip_allocation where port_id = ${portId}
      and address = any(${addresses}::inet[])`.execute(tx)
  }
}

/** Facts of a subnet that address choice needs. */
export interface SubnetFacts {
  id: string
  networkId: string
  cidr: string
  ipVersion: 4 | 6
  gatewayIp: string | null
  ipv6AddressMode: string | null
  serviceTypes: string[]
}

export async function subnetsOfNetwork(db: DbOrTx, networkId: string): Promise<SubnetFacts[]> {
  const { rows } =
    await sql<SubnetFacts>`select id, network_id as "networkId", cidr, ip_version as "ipVersion",
      host(gateway_ip) as "gatewayIp", ipv6_address_mode as "ipv6AddressMode", service_types as "serviceTypes"
    from network.subnet where network_id = ${networkId} order by created_at, id`.execute(db)
  return rows
}

/** Whether machines give themselves their address on it. */
export function isAutoAddressed(subnet: { ipv6AddressMode: string | null }): boolean {
  return subnet.ipv6AddressMode === "slaac" || subnet.ipv6AddressMode === "dhcpv6-stateless"
}
