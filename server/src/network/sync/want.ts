// What the engine must be, from the rows: of some things, found by their ids, in one statement for each sort.
import { type RawBuilder, sql } from "kysely"
import type { Config } from "../../platform/config/config.ts"
import { type Db, readTogether, type Tx } from "../../platform/db/database.ts"
import { physicalNetworksOfHost } from "../agent/physical-network.ts"
import type {
  NetworkChange,
  Told,
  WantFloatingIp,
  WantNetwork,
  WantPort,
  WantPortForwarding,
  WantRouter,
  WantSecurityGroup,
  WantSubnet,
} from "../driver/network-driver.ts"
import { told } from "../driver/want.ts"

export type WantConfig = Pick<Config["network"], "dnsDomain" | "enableDistributedFloatingIp">

/** One moment's rows of these things, of what changes with them, and of the networks and subnets that they stand on. */
export async function readChange(db: Db, config: WantConfig, asked: Told): Promise<NetworkChange> {
  return await readTogether(db, async (tx) => {
    const all = await withDependents(tx, config, asked)
    const ports = await wantPorts(tx, all.ports)
    const routers = await wantRouters(tx, all.routers)
    const fixed = [...ports, ...routers.flatMap((router) => router.interfaces)].flatMap((p) => p.fixedIps)
    const subnets = await wantSubnets(tx, [...all.subnets, ...fixed.map(({ subnetId }) => subnetId)])
    const homes = [...ports, ...subnets, ...routers.flatMap((router) => router.interfaces)]
    const networkIds = [...all.networks, ...homes.map(({ networkId }) => networkId)]
    return {
      told: all,
      want: {
        networks: await wantNetworks(tx, config, networkIds),
        subnets,
        ports,
        routers,
        floatingIps: await wantFloatingIps(tx, config, all.floatingIps),
        portForwardings: await wantPortForwardings(tx, all.portForwardings),
        securityGroups: await wantSecurityGroups(tx, all.securityGroups),
      },
    }
  })
}

/**
 * A port of a router is the router's, that of a floating IP the floating IP's; the metadata port's address is in the
 * subnets' DHCP answers; subnets are in their routers' advertisements; an address that a port allows is somebody's; a
 * distributed floating IP is where its port is; a router's port forwardings are known on all networks that it joins.
 */
async function withDependents(tx: Tx, config: WantConfig, asked: Told): Promise<Told> {
  const { ports, subnets, routers } = asked
  if (ports.length === 0 && subnets.length === 0 && routers.length === 0) return asked
  const { rows } = await sql<{ noun: keyof Told; id: string }>`
    select case p.device_owner when 'network:floatingip' then 'floatingIps' else 'routers' end as noun,
      p.device_id as id from network.port p where p.id = any(${ports}::uuid[])
      and p.device_owner in ('network:floatingip', 'network:router_interface', 'network:router_gateway')
    union select 'subnets', s.id::text from network.port p join network.subnet s on s.network_id = p.network_id
      where p.id = any(${ports}::uuid[]) and p.device_owner = 'network:distributed'
    union select 'ports', a.port_id::text from network.port p
      cross join lateral jsonb_array_elements(p.allowed_address_pairs) pair
      join network.ip_allocation a on a.network_id = p.network_id and a.address = (pair ->> 'ipAddress')::inet
      where p.id = any(${ports}::uuid[]) and p.allowed_address_pairs <> '[]'
    ${config.enableDistributedFloatingIp ? floatingIpsOn(ports) : sql``}
    union select 'routers', i.router_id::text from network.router_interface i
      where i.subnet_id = any(${subnets}::uuid[])
    union select 'portForwardings', w.id::text from network.floating_ip f
      join network.port_forwarding w on w.floating_ip_id = f.id
      where f.router_id = any(${routers}::uuid[])`.execute(tx)
  const byNoun = Map.groupBy(rows, (row) => row.noun)
  return told((noun) => [...asked[noun], ...(byNoun.get(noun) ?? []).map((row) => row.id)])
}

const floatingIpsOn = (ports: readonly string[]) => sql`
    union select 'floatingIps', f.id::text from network.floating_ip f where f.fixed_port_id = any(${ports}::uuid[])`

async function wantNetworks(tx: Tx, config: WantConfig, ids: readonly string[]): Promise<WantNetwork[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<WantNetwork>`select id, name, mtu, is_external as "isExternal",
      is_admin_up as "adminStateUp", coalesce(nullif(dns_domain, ''), ${config.dnsDomain}) as "dnsDomain",
      case when provider_type <> 'geneve' then json_build_object('type', provider_type,
        'physicalNetwork', physical_network, 'segmentationId', segmentation_id) end as provider
    from network.network where id = any(${ids}::uuid[]) order by id`.execute(tx)
  return rows
}

async function wantSubnets(tx: Tx, ids: readonly string[]): Promise<WantSubnet[]> {
  if (ids.length === 0) return []
  const { rows } =
    await sql<WantSubnet>`select s.id, s.network_id as "networkId", s.ip_version as "ipVersion",
      s.cidr::text as cidr, host(s.gateway_ip) as "gatewayIp", s.is_dhcp_enabled as "enableDhcp",
      s.dns_nameservers as "dnsNameservers", s.host_routes as "hostRoutes",
      s.ipv6_address_mode as "ipv6AddressMode", s.ipv6_ra_mode as "ipv6RaMode",
      (select host(a.address) from network.port p
        join network.ip_allocation a on a.port_id = p.id and a.subnet_id = s.id
        where p.network_id = s.network_id and p.device_owner = 'network:distributed') as "serviceIp"
    from network.subnet s where s.id = any(${ids}::uuid[]) order by s.id`.execute(tx)
  return rows
}

/** JSON of a port's addresses, in order. */
const fixedIps = sql`(select coalesce(json_agg(json_build_object('subnetId', a.subnet_id, 'ipAddress', host(a.address))
  order by a.position, a.address), '[]') from network.ip_allocation a where a.port_id = p.id)`

/** Of the port `p`: the first of its addresses that other ports of the network allow themselves, and those ports. */
export const virtual = sql`(select json_build_object('ipAddress', host(a.address),
    'parentIds', json_agg(distinct q.id::text order by q.id::text))
  from network.ip_allocation a
  join network.port q on q.network_id = p.network_id and q.allowed_address_pairs <> '[]' and q.id <> p.id
  cross join lateral jsonb_array_elements(q.allowed_address_pairs) pair
  where a.port_id = p.id and (pair ->> 'ipAddress')::inet = a.address
  group by a.address, a.position order by a.position, a.address limit 1)`

/** JSON of what the policy asks of the engine; null for none, and for one that asks nothing. */
function qos(policyId: RawBuilder<unknown>): RawBuilder<unknown> {
  const limit = (direction: string) => sql`(jsonb_agg(jsonb_build_object('maxKbps', q.max_kbps,
    'maxBurstKbits', nullif(q.max_burst_kbps, 0))) filter (where q.direction = ${sql.lit(direction)})) -> 0`
  return sql`(select json_build_object('egress', ${limit("egress")}, 'ingress', ${limit("ingress")},
      'dscpMark', max(q.dscp_mark))
    from network.qos_rule q where q.qos_policy_id = ${policyId} and q.type in ('bandwidth_limit', 'dscp_marking')
    having count(*) > 0)`
}

async function wantPorts(tx: Tx, ids: readonly string[]): Promise<WantPort[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<WantPort>`select p.id, p.network_id as "networkId", p.name,
      p.mac_address::text as "macAddress", ${fixedIps} as "fixedIps", p.is_admin_up as "adminStateUp",
      case p.device_owner when 'network:distributed' then 'metadata' else 'vif' end as kind,
      nullif(p.host_id, '') as "hostId", p.is_port_security_enabled as "portSecurityEnabled",
      p.allowed_address_pairs as "allowedAddressPairs",
      array(select g.security_group_id::text from network.port_security_group g where g.port_id = p.id
        order by 1) as "securityGroupIds",
      p.extra_dhcp_options as "extraDhcpOptions", nullif(p.dns_name, '') as "dnsName",
      p.dns_name = '' or not exists (select from network.port q where q.network_id = p.network_id
        and lower(q.dns_name) = lower(p.dns_name) and q.dns_name <> '' and q.id > p.id
        and exists (select from network.ip_allocation a where a.port_id = q.id)) as "holdsName",
      case when p.host_id = '' and p.device_owner not like 'network:%' then ${virtual} end as virtual,
      case when p.device_owner not like 'network:%' then ${qos(sql`coalesce(p.qos_policy_id, n.qos_policy_id)`)} end as qos
    from network.port p join network.network n on n.id = p.network_id where p.device_owner not in
      ('network:router_interface', 'network:router_gateway', 'network:floatingip')
      and p.id = any(${ids}::uuid[]) order by p.id`.execute(tx)
  return rows
}

const fixedIpsWithSubnet = sql`(select coalesce(json_agg(json_build_object('subnetId', a.subnet_id,
    'ipAddress', host(a.address), 'cidr', s.cidr, 'gatewayIp', host(s.gateway_ip)) order by a.position, a.address), '[]')
  from network.ip_allocation a join network.subnet s on s.id = a.subnet_id where a.port_id = p.id)`

async function wantRouters(tx: Tx, ids: readonly string[]): Promise<WantRouter[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<WantRouter>`select r.id, r.name, r.is_admin_up as "adminStateUp",
      r.is_snat_enabled as "enableSnat", r.routes,
      (select json_build_object('networkId', p.network_id, 'portId', p.id, 'macAddress', p.mac_address,
          'fixedIps', ${fixedIpsWithSubnet}, 'qos', ${qos(sql`coalesce(p.qos_policy_id, n.qos_policy_id)`)})
        from network.port p join network.network n on n.id = p.network_id
        where p.device_id = r.id::text and p.device_owner = 'network:router_gateway') as gateway,
      (select coalesce(json_agg(json_build_object('portId', p.id, 'networkId', p.network_id,
          'macAddress', p.mac_address, 'fixedIps', ${fixedIpsWithSubnet}) order by p.id), '[]')
        from network.port p where p.device_id = r.id::text and p.device_owner = 'network:router_interface') as interfaces
    from network.router r where r.id = any(${ids}::uuid[]) order by r.id`.execute(tx)
  return rows
}

async function wantFloatingIps(
  tx: Tx,
  config: WantConfig,
  ids: readonly string[],
): Promise<WantFloatingIp[]> {
  if (ids.length === 0) return []
  const isDistributed = config.enableDistributedFloatingIp ? reachesOwnNetwork : sql`false`
  const { rows } = await sql<WantFloatingIp>`select f.id, f.router_id as "routerId",
      host(f.address) as "floatingIpAddress", host(f.fixed_ip_address) as "fixedIpAddress",
      f.fixed_port_id as "portId", p.mac_address::text as "macAddress", ${isDistributed} as "isDistributed",
      f.floating_network_id as "networkId", ${qos(sql`coalesce(f.qos_policy_id, n.qos_policy_id)`)} as qos,
      (select g.id from network.port g where g.device_id = f.router_id::text
        and g.device_owner = 'network:router_gateway' and g.network_id = f.floating_network_id) as "gatewayPortId"
    from network.floating_ip f join network.port p on p.id = f.floating_port_id
    join network.network n on n.id = f.floating_network_id
    where f.id = any(${ids}::uuid[]) and f.router_id is not null and f.fixed_port_id is not null
    order by f.id`.execute(tx)
  return rows
}

async function wantPortForwardings(tx: Tx, ids: readonly string[]): Promise<WantPortForwarding[]> {
  if (ids.length === 0) return []
  const { rows } =
    await sql<WantPortForwarding>`select w.id, f.id as "floatingIpId", f.router_id as "routerId", w.protocol,
      array(select distinct s.network_id::text from network.router_interface i
        join network.subnet s on s.id = i.subnet_id where i.router_id = f.router_id order by 1) as "networkIds",
      host(f.address) as "floatingIpAddress", host(w.internal_ip_address) as "internalIpAddress",
      json_build_object('first', w.external_port_first, 'last', w.external_port_last) as "externalPorts",
      json_build_object('first', w.internal_port_first, 'last', w.internal_port_last) as "internalPorts"
    from network.port_forwarding w join network.floating_ip f on f.id = w.floating_ip_id
    where w.id = any(${ids}::uuid[]) and f.router_id is not null order by w.id`.execute(tx)
  return rows
}

/** Whether the host of what the floating IP `f` points at reaches the physical network of its own port `p`. */
const reachesOwnNetwork = sql`coalesce((select n.physical_network = any(${physicalNetworksOfHost(sql`q.host_id`)})
  from network.port q, network.network n where q.id = f.fixed_port_id and n.id = p.network_id), false)`

async function wantSecurityGroups(tx: Tx, ids: readonly string[]): Promise<WantSecurityGroup[]> {
  if (ids.length === 0) return []
  // A rule with an address group is one rule for each of its addresses.
  const { rows } = await sql<WantSecurityGroup>`select g.id, g.is_stateful as "isStateful",
      coalesce(json_agg(json_build_object('id', case when a.ordinal > 1 then r.id || '-' || a.ordinal else r.id::text end,
        'direction', r.direction, 'ethertype', r.ethertype, 'protocol', r.protocol,
        'portRangeMin', r.port_range_min, 'portRangeMax', r.port_range_max,
        'remoteIpPrefix', coalesce(a.address, r.remote_ip_prefix), 'remoteGroupId', r.remote_group_id) order by r.id, a.ordinal)
        filter (where r.id is not null), '[]') as rules
    from network.security_group g
    left join (network.security_group_rule r
      left join network.address_group ag on ag.id = r.remote_address_group_id
      left join lateral unnest(ag.addresses) with ordinality a(address, ordinal)
        on family(a.address) = case r.ethertype when 'IPv4' then 4 else 6 end)
      on r.security_group_id = g.id and (r.remote_address_group_id is null or a.address is not null)
    where g.id = any(${ids}::uuid[]) group by g.id order by g.id`.execute(tx)
  return rows
}
