// Routers, their ports, routes and address translation. A router with a gateway is bound to the gateway chassis:
// SNAT and floating IPs pass there (centralised NAT), the traffic between tenant networks stays on each host.
import type { NetworkWant, WantFloatingIp, WantNetwork, WantRouter, WantSubnet } from "../network-driver.ts"
import type { DesiredRow } from "./row.ts"

export interface RouterContext {
  /** Hosts that reach the external networks, best first. */
  gatewayChassis: readonly string[]
}

export function routerRows(want: NetworkWant, context: RouterContext): DesiredRow[] {
  const networks = new Map(want.networks.map((network) => [network.id, network]))
  const subnets = new Map(want.subnets.map((subnet) => [subnet.id, subnet]))
  const floatingIps = Map.groupBy(want.floatingIps, (floatingIp) => floatingIp.routerId)
  return want.routers.flatMap((router) => {
    const ports = portRows(router, networks, subnets, context)
    const nat = [...snatRows(router), ...(floatingIps.get(router.id) ?? []).map(floatingIpRow)]
    const routes = routeRows(router)
    const row: DesiredRow = {
      table: "Logical_Router",
      id: router.id,
      columns: {
        name: `kumoi-${router.id}`,
        enabled: [router.adminStateUp],
        options: { always_learn_from_arp_request: "false", dynamic_neigh_routers: "true" },
      },
      refs: {
        ports: { table: "Logical_Router_Port", ids: ports.flatMap(idsOf("Logical_Router_Port")) },
        nat: { table: "NAT", ids: nat.map((each) => each.id) },
        static_routes: { table: "Logical_Router_Static_Route", ids: routes.map((each) => each.id) },
      },
      externalIds: { "kumoi:name": router.name },
    }
    return [...ports, ...nat, ...routes, row]
  })
}

function idsOf(table: DesiredRow["table"]): (row: DesiredRow) => string[] {
  return (row) => (row.table === table ? [row.id] : [])
}

function portRows(
  router: WantRouter,
  networks: ReadonlyMap<string, WantNetwork>,
  subnets: ReadonlyMap<string, WantSubnet>,
  context: RouterContext,
): DesiredRow[] {
  const rows: DesiredRow[] = []
  for (const port of [...router.interfaces, ...(router.gateway ? [router.gateway] : [])]) {
    if (port.fixedIps.length === 0) continue
    const name = `lrp-${port.portId}`
    const isGateway = port === router.gateway
    const chassis = isGateway ? chassisRows(name, context.gatewayChassis) : []
    rows.push(...chassis, {
      table: "Logical_Router_Port",
      id: port.portId,
      columns: {
        name,
        mac: port.macAddress.toLowerCase(),
        networks: port.fixedIps.map(({ ipAddress, cidr }) => `${ipAddress}/${cidr.split("/")[1] ?? ""}`),
        ipv6_ra_configs: isGateway ? {} : advertisement(port, networks, subnets),
      },
      refs: { gateway_chassis: { table: "Gateway_Chassis", ids: chassis.map((row) => row.id) } },
    })
  }
  return rows
}

function chassisRows(portName: string, chassis: readonly string[]): DesiredRow[] {
  return chassis.map((host, index) => ({
    table: "Gateway_Chassis",
    id: `${portName}_${host}`,
    columns: { name: `${portName}_${host}`, chassis_name: host, priority: chassis.length - index },
  }))
}

/** What router advertisements say on this interface; empty when none of its subnets asks for them. */
function advertisement(
  port: WantRouter["interfaces"][number],
  networks: ReadonlyMap<string, WantNetwork>,
  subnets: ReadonlyMap<string, WantSubnet>,
): Record<string, string> {
  for (const { subnetId } of port.fixedIps) {
    const subnet = subnets.get(subnetId)
    if (subnet?.ipVersion !== 6 || subnet.ipv6RaMode === null) continue
    const configs: Record<string, string> = {
      address_mode: subnet.ipv6RaMode.replace("dhcpv6-", "dhcpv6_"),
      send_periodic: "true",
    }
    const mtu = networks.get(port.networkId)?.mtu
    if (mtu !== undefined) configs.mtu = String(mtu)
    const dns = subnet.dnsNameservers[0]
    if (dns !== undefined) configs.rdnss = dns
    return configs
  }
  return {}
}

function snatRows(router: WantRouter): DesiredRow[] {
  const external = router.gateway?.fixedIps.find(({ ipAddress }) => !ipAddress.includes(":"))?.ipAddress
  if (!router.enableSnat || external === undefined) return []
  const cidrs = router.interfaces.flatMap((port) => port.fixedIps.map(({ cidr }) => cidr))
  return [...new Set(cidrs)]
    .filter((cidr) => !cidr.includes(":"))
    .map((cidr) => ({
      table: "NAT",
      id: `snat-${router.id}-${cidr}`,
      columns: { type: "snat", external_ip: external, logical_ip: cidr },
    }))
}

function floatingIpRow(floatingIp: WantFloatingIp): DesiredRow {
  return {
    table: "NAT",
    id: floatingIp.id,
    columns: {
      type: "dnat_and_snat",
      external_ip: floatingIp.floatingIpAddress,
      logical_ip: floatingIp.fixedIpAddress,
    },
    externalIds: { "kumoi:port": floatingIp.portId },
  }
}

function routeRows(router: WantRouter): DesiredRow[] {
  const rows: DesiredRow[] = []
  const gateway = router.gateway
  for (const { gatewayIp } of gateway?.fixedIps ?? []) {
    if (!gateway || gatewayIp === null) continue
    const isV6 = gatewayIp.includes(":")
    const id = `default${isV6 ? 6 : 4}-${router.id}`
    if (rows.some((row) => row.id === id)) continue
    rows.push({
      table: "Logical_Router_Static_Route",
      id,
      columns: {
        ip_prefix: isV6 ? "::/0" : "0.0.0.0/0",
        nexthop: gatewayIp,
        output_port: [`lrp-${gateway.portId}`],
      },
    })
  }
  for (const { destination, nexthop } of router.routes)
    rows.push({
      table: "Logical_Router_Static_Route",
      id: `route-${router.id}-${destination}-${nexthop}`,
      columns: { ip_prefix: destination, nexthop, output_port: [] },
    })
  return rows
}
