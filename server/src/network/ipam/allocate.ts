// Gives addresses to ports. The primary key (subnet, address) decides races: who loses asks again.
import { type RawBuilder, sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { addressesBusy } from "../faults.ts"
import { addressCandidates, type Pool, type Random, systemRandom } from "./candidates.ts"

export interface Allocation {
  subnetId: string
  networkId: string
  portId: string
  position: number
}

/** Takes a free address of the subnet's pools; null when they are used up. */
export async function takeFreeAddress(
  tx: Tx,
  a: Allocation,
  pools: readonly Pool[],
  random: Random = systemRandom,
): Promise<string | null> {
  return (await takeUntouched(tx, a, addressCandidates(pools, random))) ?? (await takeAnyLeft(tx, a))
}

/**
 * One that is neither in use nor being taken by a transaction that goes on: who takes an address holds a lock of its
 * name, and nobody waits for a lock. Null when there was none among those tried.
 */
async function takeUntouched(tx: Tx, a: Allocation, candidates: readonly string[]): Promise<string | null> {
  const { rows } = await untouched(a, candidates, sql`(values (1)) port`).execute(tx)
  return rows[0]?.address ?? null
}

function untouched(a: Allocation, candidates: readonly string[], port: RawBuilder<unknown>) {
  // The case makes PostgreSQL look at one after the other and lock only what it found free.
  return sql<{ address: string }>`
    insert into network.ip_allocation (subnet_id, address, network_id, port_id, position)
    select ${a.subnetId}::uuid, c.address, ${a.networkId}::uuid, ${a.portId}::uuid, ${a.position}::integer
    from ${port}, lateral (select c.address from unnest(${[...candidates]}::inet[]) as c (address)
      where case
        when exists (select from network.ip_allocation x
          where x.subnet_id = ${a.subnetId}::uuid and x.address = c.address) then false
        else pg_try_advisory_xact_lock(hashtextextended(${a.subnetId}::text || host(c.address), 0)) end
      limit 1) c
    on conflict do nothing returning host(address) as address`
}

/**
 * For the statement that makes the port (`made`): its first address, in the same one. No row when none was free at
 * once, which does not say that none is left.
 */
export function takingWithPort(a: Allocation, pools: readonly Pool[]): RawBuilder<{ address: string }> {
  return untouched(a, addressCandidates(pools, systemRandom), sql`made`)
}

/** Of so many free ones any is taken, so that who must wait seldom waits for the same. */
const windowSize = 64
/** Each lost race means that another request won an address. */
const racesMax = 100

/** Reads all that is in use to find what is left: for a subnet that is nearly full. Waits for who was there first. */
async function takeAnyLeft(tx: Tx, a: Allocation): Promise<string | null> {
  for (let race = 0; race < racesMax; race++) {
    // A free address is a pool's first, or follows one in use.
    const { rows } = await sql<{ candidate: string | null; taken: string | null }>`
      with candidate as materialized (
        select address from (
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
          order by c.address limit ${windowSize}
        ) free order by random() limit 1
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
  throw addressesBusy(a.networkId)
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
  pools: Pool[]
}

/** Its allocation pools as JSON; `subnetId` is an expression. */
export function poolsOf(subnetId: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(select coalesce(json_agg(json_build_object('start', host(l.first_address), 'end', host(l.last_address))
    order by l.first_address), '[]') from network.allocation_pool l where l.subnet_id = ${subnetId})`
}

export async function subnetsOfNetwork(db: DbOrTx, networkId: string): Promise<SubnetFacts[]> {
  const { rows } = await subnetFacts([networkId]).execute(db)
  return rows
}

/** Of these networks, each one's in order. */
export function subnetFacts(networkIds: readonly string[]): RawBuilder<SubnetFacts> {
  return sql<SubnetFacts>`select id, network_id as "networkId", cidr, ip_version as "ipVersion",
      host(gateway_ip) as "gatewayIp", ipv6_address_mode as "ipv6AddressMode", service_types as "serviceTypes",
      ${poolsOf(sql`s.id`)} as pools
    from network.subnet s where network_id = any(${networkIds}::uuid[]) order by created_at, id`
}

/** Whether machines give themselves their address on it. */
export function isAutoAddressed(subnet: { ipv6AddressMode: string | null }): boolean {
  return subnet.ipv6AddressMode === "slaac" || subnet.ipv6AddressMode === "dhcpv6-stateless"
}
