// Everything that the engine must be, from the rows, in one statement for each sort of thing.
import { sql } from "kysely"
import type { Config } from "../../platform/config/config.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import type {
  NetworkWant,
  WantFloatingIp,
  WantNetwork,
  WantPort,
  WantRouter,
  WantSecurityGroup,
  WantSubnet,
} from "../driver/network-driver.ts"

export type WantConfig = Pick<Config["network"], "dnsDomain">

export async function buildWant(db: DbOrTx, config: WantConfig): Promise<NetworkWant> {
  return {
    networks: await wantNetworks(db, config),
    subnets: await wantSubnets(db),
    ports: await wantPorts(db),
    routers: await wantRouters(db),
    floatingIps: await wantFloatingIps(db),
    securityGroups: await wantSecurityGroups(db),
  }
}

async function wantNetworks(db: DbOrTx, config: WantConfig): Promise<WantNetwork[]> {
  const { rows } = await sql<WantNetwork>`select id, name, mtu, is_external as "isExternal",
      is_admin_up as "adminStateUp", coalesce(nullif(dns_domain, ''), ${config.dnsDomain}) as "dnsDomain",
      case when provider_type <> 'geneve' then json_build_object('type', provider_type,
        'physicalNetwork', physical_network, 'segmentationId', segmentation_id) end as provider
    from network.network order by id`.execute(db)
  return rows
}

async function wantSubnets(db: DbOrTx): Promise<WantSubnet[]> {
  const { rows } =
    await sql<WantSubnet>`select s.id, s.network_id as "networkId", s.ip_version as "ipVersion",
      s.cidr::text as cidr, host(s.gateway_ip) as "gatewayIp", s.is_dhcp_enabled as "enableDhcp",
      s.dns_nameservers as "dnsNameservers", s.host_routes as "hostRoutes",
      s.ipv6_address_mode as "ipv6AddressMode", s.ipv6_ra_mode as "ipv6RaMode",
      (select host(a.address) from network.port p
        join network.ip_allocation a on a.port_id = p.id and a.subnet_id = s.id
        where p.network_id = s.network_id and p.device_owner = 'network:distributed') as "serviceIp"
    from network.subnet s order by s.id`.execute(db)
  return rows
}

/** JSON of a port's addresses, in order. */
const fixedIps = sql`(select coalesce(json_agg(json_build_object('subnetId', a.subnet_id, 'ipAddress', host(a.address))
  order by a.position, a.address), '[]') from network.ip_allocation a where a.port_id = p.id)`

/** All, or those of them that there are. */
export async function wantPorts(db: DbOrTx, ids?: readonly string[]): Promise<WantPort[]> {
  const which = ids === undefined ? sql`true` : sql`p.id = any(${ids}::uuid[])`
  const { rows } = await sql<WantPort>`select p.id, p.network_id as "networkId", p.name,
      p.mac_address::text as "macAddress", ${fixedIps} as "fixedIps", p.is_admin_up as "adminStateUp",
      case p.device_owner when 'network:router_interface' then 'router' when 'network:distributed' then 'metadata'
        else 'vif' end as kind,
      nullif(p.host_id, '') as "hostId", p.is_port_security_enabled as "portSecurityEnabled",
      p.allowed_address_pairs as "allowedAddressPairs",
      array(select g.security_group_id::text from network.port_security_group g where g.port_id = p.id
        order by 1) as "securityGroupIds",
      p.extra_dhcp_options as "extraDhcpOptions", nullif(p.dns_name, '') as "dnsName"
    from network.port p where p.device_owner not in ('network:router_gateway', 'network:floatingip') and ${which}
    order by p.id`.execute(db)
  return rows
}

const fixedIpsWithSubnet = sql`(select coalesce(json_agg(json_build_object('subnetId', a.subnet_id,
    'ipAddress', host(a.address), 'cidr', s.cidr, 'gatewayIp', host(s.gateway_ip)) order by a.position), '[]')
  from network.ip_allocation a join network.subnet s on s.id = a.subnet_id where a.port_id = p.id)`

async function wantRouters(db: DbOrTx): Promise<WantRouter[]> {
  const { rows } = await sql<WantRouter>`select r.id, r.name, r.is_admin_up as "adminStateUp",
      r.is_snat_enabled as "enableSnat", r.routes,
      (select json_build_object('networkId', p.network_id, 'portId', p.id, 'macAddress', p.mac_address,
          'fixedIps', ${fixedIpsWithSubnet})
        from network.port p where p.device_id = r.id::text and p.device_owner = 'network:router_gateway') as gateway,
      (select coalesce(json_agg(json_build_object('portId', p.id, 'networkId', p.network_id,
          'macAddress', p.mac_address, 'fixedIps', ${fixedIpsWithSubnet}) order by p.id), '[]')
        from network.port p where p.device_id = r.id::text and p.device_owner = 'network:router_interface') as interfaces
    from network.router r order by r.id`.execute(db)
  return rows
}

async function wantFloatingIps(db: DbOrTx): Promise<WantFloatingIp[]> {
  const { rows } = await sql<WantFloatingIp>`select f.id, f.router_id as "routerId",
      host(f.address) as "floatingIpAddress", host(f.fixed_ip_address) as "fixedIpAddress",
      f.fixed_port_id as "portId", p.mac_address::text as "macAddress"
    from network.floating_ip f join network.port p on p.id = f.floating_port_id
    where f.router_id is not null and f.fixed_port_id is not null order by f.id`.execute(db)
  return rows
}

async function wantSecurityGroups(db: DbOrTx): Promise<WantSecurityGroup[]> {
  // A rule with an address group is one rule for each of its addresses.
  const { rows } = await sql<WantSecurityGroup>`select g.id, g.is_stateful as "isStateful",
      coalesce(json_agg(json_build_object('id', case when a.ordinal > 1 then r.id || '-' || a.ordinal else r.id::text end,
        'direction', r.direction, 'ethertype', r.ethertype, 'protocol', r.protocol,
        'portRangeMin', r.port_range_min, 'portRangeMax', r.port_range_max,
        'remoteIpPrefix', coalesce(a.address, r.remote_ip_prefix), 'remoteGroupId', r.remote_group_id) order by r.id)
        filter (where r.id is not null), '[]') as rules
    from network.security_group g
    left join (network.security_group_rule r
      left join network.address_group ag on ag.id = r.remote_address_group_id
      left join lateral unnest(ag.addresses) with ordinality a(address, ordinal)
        on family(a.address) = case r.ethertype when 'IPv4' then 4 else 6 end)
      on r.security_group_id = g.id and (r.remote_address_group_id is null or a.address is not null)
    group by g.id order by g.id`.execute(db)
  return rows
}
