// What servers show of their ports. The lists are asked for whole pages of servers: one statement each.
import { type RawBuilder, sql } from "kysely"
import type { MetadataNetwork } from "../../agent/protocol.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { matchesPattern } from "../../platform/db/text-pattern.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { canonicalAddress, macOfLinkLocal } from "../../platform/net/address.ts"
import { loadSecurityGroup } from "../security-group/group.ts"
import type { SecurityGroupRule } from "../security-group/security-group.ts"

export interface ServerAddress {
  portId: string
  networkId: string
  /** Name of the network. */
  label: string
  address: string
  version: 4 | 6
  type: "fixed" | "floating"
  macAddress: string
}

export interface ServerNetworking {
  addresses: ServerAddress[]
  /** Names, for the view. */
  securityGroups: string[]
}

interface NetworkingRow {
  serverId: string
  portId: string
  networkId: string
  label: string
  macAddress: string
  address: string | null
  version: 4 | 6
  floating: string | null
  group: string | null
}

/**
 * Addresses and groups of all asked servers, in one statement: a row for each address, floating IP and group of a
 * port. Joins, as what is gathered into JSON for each port cost more than twice as much.
 */
export async function serverAddresses(
  db: DbOrTx,
  serverIds: readonly string[],
): Promise<Map<string, ServerNetworking>> {
  const found = new Map<string, ServerNetworking>()
  if (serverIds.length === 0) return found
  const { rows } = await sql<NetworkingRow>`
    select p.server_id as "serverId", p.id as "portId", p.network_id as "networkId", n.name as label,
      p.mac_address::text as "macAddress", host(a.address) as address, family(a.address) as version,
      host(f.address) as floating, g.name as "group"
    from unnest(${serverIds}::uuid[]) as asked (id)
    join network.port p on p.server_id = asked.id
    join network.network n on n.id = p.network_id
    left join network.ip_allocation a on a.port_id = p.id
    left join network.floating_ip f on f.fixed_port_id = p.id and f.fixed_ip_address = a.address
    left join (network.port_security_group x join network.security_group g on g.id = x.security_group_id)
      on x.port_id = p.id
    order by p.server_interface_index, a.position, a.address, f.address, g.name
  `.execute(db)
  for (const row of rows) {
    let networking = found.get(row.serverId)
    if (!networking) {
      networking = { addresses: [], securityGroups: [] }
      found.set(row.serverId, networking)
    }
    addRow(networking, row)
  }
  return found
}

function addRow({ addresses, securityGroups }: ServerNetworking, row: NetworkingRow): void {
  const { portId, networkId, label, macAddress, address, version, floating, group } = row
  if (group !== null && !securityGroups.includes(group)) securityGroups.push(group)
  const isNoted = (noted: string | null) =>
    addresses.some((each) => each.portId === portId && each.address === noted)
  if (address !== null && !isNoted(address))
    addresses.push({ portId, networkId, label, macAddress, address, version, type: "fixed" })
  if (floating !== null && !isNoted(floating))
    addresses.push({
      portId,
      networkId,
      label,
      macAddress,
      address: floating,
      version: 4,
      type: "floating",
    })
}

/** Whose packets come from this address on this network: one of a port, or the link's own made of its MAC address. */
export async function serverIdByAddress(
  db: DbOrTx,
  { networkId, address }: { networkId: string; address: string },
): Promise<string | undefined> {
  const canonical = canonicalAddress(address)
  if (!isUuid(networkId) || canonical === undefined) return undefined
  const mac = macOfLinkLocal(canonical)
  const { rows } =
    mac === undefined
      ? await sql<{ serverId: string }>`select p.server_id as "serverId" from network.ip_allocation a
          join network.port p on p.id = a.port_id
          where a.network_id = ${networkId} and a.address = ${canonical}::inet
            and p.server_id is not null`.execute(db)
      : await sql<{ serverId: string }>`select p.server_id as "serverId" from network.port p
          where p.network_id = ${networkId} and p.mac_address = ${mac}::macaddr
            and p.server_id is not null`.execute(db)
  return rows[0]?.serverId
}

/**
 * Ids of servers that have an address like that (PostgreSQL regular expression), as a subquery's text for the
 * `ip` and `ip6` filters of server lists.
 */
export async function serversWithAddress(
  db: DbOrTx,
  { projectId, pattern, version }: { projectId: string | null; pattern: string; version: 4 | 6 },
): Promise<string[]> {
  const owner = projectId === null ? sql`true` : sql`p.project_id = ${projectId}`
  const { rows } = await sql<{ id: string }>`select distinct p.server_id as id from network.port p
    join network.ip_allocation a on a.port_id = p.id
    where ${owner} and p.server_id is not null and family(a.address) = ${version}
      and ${matchesPattern(sql`host(a.address)`, pattern)}`.execute(db)
  return rows.map((row) => row.id)
}

export interface ServerPort {
  portId: string
  networkId: string
  macAddress: string
  status: string
  fixedIps: { subnetId: string; ipAddress: string }[]
  tag: string | null
}

const fixedIps: RawBuilder<unknown> = sql`(select coalesce(json_agg(json_build_object('subnetId', a.subnet_id,
  'ipAddress', host(a.address)) order by a.position), '[]') from network.ip_allocation a where a.port_id = p.id)`

/** Those that the server's ports lie on, for the choice of a host. */
export async function physicalNetworksOfServer(db: DbOrTx, serverId: string): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select distinct n.physical_network as name
    from network.port p join network.network n on n.id = p.network_id
    where p.server_id = ${serverId} and n.physical_network is not null order by 1`.execute(db)
  return rows.map(({ name }) => name)
}

/** Interfaces of the server, in their order. */
export async function listServerPorts(ctx: Pick<Ctx, "db">, serverId: string): Promise<ServerPort[]> {
  const { rows } = await sql<ServerPort>`select p.id as "portId", p.network_id as "networkId",
      p.mac_address::text as "macAddress", p.status, ${fixedIps} as "fixedIps", p.server_interface_tag as tag
    from network.port p where p.server_id = ${serverId} order by p.server_interface_index`.execute(ctx.db)
  return rows
}

export interface ServerMetadataNetwork {
  portId: string
  macAddress: string
  mtu: number
  networkId: string
  fixedIps: {
    ipAddress: string
    ipVersion: 4 | 6
    subnetId: string
    cidr: string
    gatewayIp: string | null
    isDhcp: boolean
    ipv6AddressMode: string | null
    dnsNameservers: string[]
    hostRoutes: { destination: string; nexthop: string }[]
    floatingIps: string[]
  }[]
}

/** What the server is told about its own interfaces (network_data.json and the EC2 metadata). */
export async function serverMetadataNetworks(
  ctx: Pick<Ctx, "db">,
  serverId: string,
): Promise<ServerMetadataNetwork[]> {
  const { rows } =
    await sql<ServerMetadataNetwork>`select p.id as "portId", p.mac_address::text as "macAddress",
      n.mtu, p.network_id as "networkId",
      (select coalesce(json_agg(json_build_object('ipAddress', host(a.address), 'ipVersion', s.ip_version,
          'subnetId', s.id, 'cidr', s.cidr, 'gatewayIp', host(s.gateway_ip), 'isDhcp', s.is_dhcp_enabled,
          'ipv6AddressMode', s.ipv6_address_mode, 'dnsNameservers', s.dns_nameservers, 'hostRoutes', s.host_routes,
          'floatingIps', array(select host(f.address) from network.floating_ip f
            where f.fixed_port_id = p.id and f.fixed_ip_address = a.address)) order by a.position), '[]')
        from network.ip_allocation a join network.subnet s on s.id = a.subnet_id where a.port_id = p.id) as "fixedIps"
    from network.port p join network.network n on n.id = p.network_id
    where p.server_id = ${serverId} order by p.server_interface_index`.execute(ctx.db)
  return rows
}

/** Networks with machines on a host, which are answered there at 169.254.169.254 and fe80::a9fe:a9fe; by the host. */
export async function metadataNetworks(db: DbOrTx): Promise<Map<string, MetadataNetwork[]>> {
  const guests = sql<{ host: string; networkIds: string[] }>`
    select host_id as host, array_agg(distinct network_id order by network_id) as "networkIds" from network.port
    where server_id is not null and host_id <> '' group by host_id`
  const ports = sql<MetadataNetwork>`
    select p.network_id as "networkId", p.id as "portId", p.mac_address::text as "macAddress",
      array(select host(a.address) from network.ip_allocation a where a.port_id = p.id order by a.position) as "serviceIps"
    from network.port p where p.device_owner = 'network:distributed' and p.network_id in
      (select g.network_id from network.port g where g.server_id is not null and g.host_id <> '')`
  const networks = new Map((await ports.execute(db)).rows.map((network) => [network.networkId, network]))
  const { rows } = await guests.execute(db)
  return new Map(
    rows.map(({ host, networkIds }) => [host, networkIds.flatMap((id) => networks.get(id) ?? [])]),
  )
}

export interface ServerSecurityGroup {
  id: string
  name: string
  description: string
  projectId: string
  rules: SecurityGroupRule[]
}

/** Groups of any of the server's ports. */
export async function listSecurityGroupsOfServer(
  ctx: Pick<Ctx, "db">,
  serverId: string,
): Promise<ServerSecurityGroup[]> {
  const { rows } = await sql<{ id: string }>`select distinct x.security_group_id as id from network.port p
    join network.port_security_group x on x.port_id = p.id where p.server_id = ${serverId}`.execute(ctx.db)
  const groups: ServerSecurityGroup[] = []
  for (const { id } of rows) {
    const { name, description, projectId, securityGroupRules } = await loadSecurityGroup(ctx.db, id)
    groups.push({ id, name, description, projectId, rules: securityGroupRules })
  }
  return groups.sort((a, b) => a.name.localeCompare(b.name))
}
