// The whole network, page by page: what the rows have, then what the engine has and the rows have not.
import { type RawBuilder, sql } from "kysely"
import type { Db } from "../../platform/db/database.ts"
import type { NetworkDriver, Told } from "../driver/network-driver.ts"
import type { Changed, WideNoun } from "./changes.ts"

/** As many things as are told in a few milliseconds. */
export const pageSize = 50

const tables: Readonly<Record<keyof Told, string>> = {
  securityGroups: "network.security_group",
  subnets: "network.subnet",
  // Before the networks: a name in a network's DNS that no port says it has is taken away.
  ports: "network.port",
  networks: "network.network",
  routers: "network.router",
  floatingIps: "network.floating_ip",
  portForwardings: "network.port_forwarding",
}
const inOrder = Object.keys(tables) as readonly (keyof Told)[] // of a literal

export async function* wholeNetwork(db: Db, driver: NetworkDriver): AsyncGenerator<Changed> {
  const seen = new Set<string>()
  for (const noun of inOrder)
    for await (const ids of pagesOf(db, noun)) {
      for (const id of ids) seen.add(`${noun} ${id}`)
      yield { [noun]: ids }
    }
  const known = await driver.known()
  for (const noun of inOrder) {
    const gone = known[noun].filter((id) => !seen.has(`${noun} ${id}`))
    for (let at = 0; at < gone.length; at += pageSize) yield { [noun]: gone.slice(at, at + pageSize) }
  }
}

async function* pagesOf(db: Db, noun: keyof Told): AsyncGenerator<string[]> {
  const which =
    noun === "ports"
      ? sql`and device_owner not in ('network:router_interface', 'network:router_gateway', 'network:floatingip')`
      : sql``
  let last = "00000000-0000-0000-0000-000000000000"
  while (true) {
    const { rows } = await sql<{ id: string }>`select id from ${sql.table(tables[noun])}
      where id > ${last} ${which} order by id limit ${pageSize}`.execute(db)
    if (rows.length > 0) yield rows.map((row) => row.id)
    const end = rows.at(-1)
    if (!end || rows.length < pageSize) return
    last = end.id
  }
}

/** Who has one of these policies, and who has its network's, of the policies and of these networks. */
function withQosOf(policies: readonly string[], networks: readonly string[]): RawBuilder<unknown> {
  // Each by an index of its own: the rows of others are not read.
  const port = sql`case p.device_owner when 'network:router_gateway' then 'routers' else 'ports' end as noun,
      case p.device_owner when 'network:router_gateway' then p.device_id::uuid else p.id end as id`
  const isCounted = sql`(p.device_owner = 'network:router_gateway' or p.device_owner not like 'network:%')`
  return sql`(with n as (select id from network.network where qos_policy_id = any(${policies}::uuid[])
      union select unnest(${networks}::uuid[]))
    select ${port} from network.port p where p.qos_policy_id = any(${policies}::uuid[]) and ${isCounted}
    union select ${port} from n join network.port p on p.network_id = n.id
      where p.qos_policy_id is null and ${isCounted}
    union select 'floatingIps', f.id from network.floating_ip f where f.qos_policy_id = any(${policies}::uuid[])
    union select 'floatingIps', f.id from n join network.floating_ip f on f.floating_network_id = n.id
      where f.qos_policy_id is null)`
}

/** What these stand for. */
export async function within(db: Db, changed: Changed): Promise<Changed> {
  const ids = (noun: WideNoun) => changed[noun] ?? []
  const { rows } = await sql<{ noun: keyof Told; id: string }>`
    select 'securityGroups' as noun, r.security_group_id as id from network.security_group_rule r
      where r.remote_address_group_id = any(${ids("addressGroups")}::uuid[])
    union select 'ports', a.port_id from network.ip_allocation a
      where a.subnet_id = any(${ids("portsOfSubnets")}::uuid[])
    union select 'ports', p.id from network.port p where p.network_id = any(${ids("ofNetworks")}::uuid[])
      and p.device_owner not in ('network:router_gateway', 'network:floatingip')
    union select 'subnets', s.id from network.subnet s where s.network_id = any(${ids("ofNetworks")}::uuid[])
    union ${withQosOf(ids("qosPolicies"), ids("qosOfNetworks"))}`.execute(db)
  const found = Map.groupBy(rows, (row) => row.noun)
  return Object.fromEntries([...found].map(([noun, of]) => [noun, of.map((row) => row.id)]))
}
