// Which hosts carry the routers' gateways: as the operator said, and the cloud's first host where nothing was said of it
// or no other is left.
import { type RawBuilder, sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { Gateway } from "../driver/network-driver.ts"
import { gatewayHasNoWay, gatewayIsOnlyOne } from "../faults.ts"

export interface GatewayHost {
  host: string
  /** The highest carries, equal ones share. */
  priority: number
}

type Parts = Pick<Platform, "db" | "config">

/** Before all others, so that floating IPs are reached from the first host until that is lost. */
const firstPriority = 2
const otherPriority = 1

export async function selectGateways({ db, config }: Parts): Promise<GatewayHost[]> {
  const { rows } = await sql<{ host: string; priority: number | null }>`
    select host, priority from network.gateway order by host`.execute(db)
  const first = { host: config.host, priority: firstPriority }
  const chosen = rows.flatMap(({ host, priority }) => (priority === null ? [] : [{ host, priority }]))
  const isFirstNamed = rows.some(({ host }) => host === first.host)
  return isFirstNamed && chosen.length > 0 ? chosen : [first, ...chosen]
}

/** The same in SQL, of one host. */
export function isGateway(host: RawBuilder<unknown>, first: string): RawBuilder<boolean> {
  return sql`(coalesce((select priority is not null from network.gateway where gateway.host = ${host}), ${host} = ${first})
    or ${host} = ${first} and not exists (select from network.gateway where priority is not null))`
}

export interface GatewayChange {
  host: string
  isGateway: boolean
  /** Null: the usual one. */
  priority: number | null
  /** Physical networks that the host is connected to; null: it has no part in the network. */
  reached: readonly string[] | null
}

/** From now on, and after a restart. */
export async function changeGateway(platform: Platform, change: GatewayChange): Promise<GatewayHost[]> {
  const { host, isGateway } = change
  const isFirst = host === platform.config.host
  if (isGateway) await refuseWithoutWay(platform, change)
  else if ((await selectGateways(platform)).every((each) => each.host === host && isFirst))
    throw gatewayIsOnlyOne(host)
  const usual = isFirst ? firstPriority : otherPriority
  const priority = isGateway ? (change.priority ?? usual) : null
  await sql`insert into network.gateway (host, priority) values (${host}, ${priority})
    on conflict (host) do update set priority = excluded.priority`.execute(platform.db)
  await tellGateways(platform)
  return await selectGateways(platform)
}

/** The host is none of the cloud's any more. */
export async function forgetGateway(platform: Platform, host: string): Promise<void> {
  await sql`delete from network.gateway where host = ${host}`.execute(platform.db)
  await tellGateways(platform)
}

/** Costs nothing when the engine has it so. */
export async function tellGateways(platform: Parts & Pick<Platform, "drivers">): Promise<void> {
  await platform.drivers.network.setGateways(await engineGateways(platform))
}

/** In the engine's words: a host's name there is its name here. None that lost its way out, as long as another has one. */
export async function engineGateways(parts: Parts): Promise<Gateway[]> {
  const chosen = await selectGateways(parts)
  const lost = chosen.length > 1 ? await withoutWay(parts) : new Set()
  const able = chosen.filter(({ host }) => !lost.has(host))
  return (able.length > 0 ? able : chosen).map(({ host, priority }) => ({ chassis: host, priority }))
}

const outside = sql`select distinct physical_network as name from network.network
  where is_external and physical_network is not null`

/** Hosts that say by which bridges they reach physical networks, and name none for an external network's. */
async function withoutWay({ db }: Pick<Parts, "db">): Promise<Set<string>> {
  const { rows } = await sql<{ host: string }>`select a.host from network.agent a
    where a.binary_name = 'ovn-controller' and a.bridge_mappings is not null
      and exists (select from (${outside}) o where not a.bridge_mappings ? o.name)`.execute(db)
  return new Set(rows.map(({ host }) => host))
}

async function refuseWithoutWay({ db }: Parts, { host, reached }: GatewayChange): Promise<void> {
  const { rows } = await sql<{ name: string }>`${outside} order by 1`.execute(db)
  const missing = rows.map(({ name }) => name).filter((name) => !reached?.includes(name))
  if (missing.length > 0 || reached === null) throw gatewayHasNoWay(host, missing)
}
