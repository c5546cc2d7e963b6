// Routers, their ports, routes and address translation. A router's gateway is on one host at a time: SNAT passes there,
// and so do floating IPs that are not distributed; the traffic between tenant networks stays on each host.
import type { WantFloatingIp, WantNetwork, WantRouter, WantSubnet } from "../network-driver.ts"
import { gatewaysOf } from "./gateways.ts"
import { floatingIpQosRows, gatewayQosRows } from "./qos.ts"
import { type DesiredRow, ownerOf } from "./row.ts"
import { onSwitch } from "./switch.ts"

interface RouterSurroundings {
  networks: ReadonlyMap<string, WantNetwork>
  subnets: ReadonlyMap<string, WantSubnet>
}

const onRouter = (id: string, column: "ports" | "nat" | "static_routes") =>
  ({ table: "Logical_Router", id, column }) as const

export function routerRows(router: WantRouter, around: RouterSurroundings): DesiredRow[] {
  const row: DesiredRow = {
    table: "Logical_Router",
    id: router.id,
    owner: ownerOf("routers", router.id),
    columns: {
      name: `kumoi-${router.id}`,
      enabled: [router.adminStateUp],
      options: { always_learn_from_arp_request: "false", dynamic_neigh_routers: "true" },
    },
    externalIds: { "kumoi:name": router.name },
  }
  return [
    row,
    ...portRows(router, around),
    ...snatRows(router),
    ...routeRows(router),
    ...gatewayQosRows(router),
  ]
}

/** Both sides of every interface and gateway: the router's port and the switch's. */
function portRows(router: WantRouter, around: RouterSurroundings): DesiredRow[] {
  const rows: DesiredRow[] = []
  const owner = ownerOf("routers", router.id)
  for (const port of [...router.interfaces, ...(router.gateway ? [router.gateway] : [])]) {
    if (port.fixedIps.length === 0) continue
    const name = `lrp-${port.portId}`
    const isGateway = port === router.gateway
    const options: Record<string, string> = { "router-port": name }
    // The outside learns of the router's and its NAT's addresses by gratuitous ARP.
    if (isGateway) options["nat-addresses"] = "router"
    rows.push(
      {
        table: "Logical_Router_Port",
        id: port.portId,
        owner,
        columns: {
          name,
          mac: port.macAddress.toLowerCase(),
          networks: port.fixedIps.map(({ ipAddress, cidr }) => `${ipAddress}/${cidr.split("/")[1] ?? ""}`),
          ipv6_ra_configs: isGateway ? {} : advertisement(port, around),
        },
        refs: { ha_chassis_group: isGateway ? gatewaysOf(router.id) : null },
        places: [onRouter(router.id, "ports")],
      },
      {
        table: "Logical_Switch_Port",
        id: port.portId,
        owner,
        columns: { name: port.portId, type: "router", addresses: ["router"], options, enabled: [true] },
        places: [onSwitch(port.networkId)],
      },
    )
  }
  return rows
}

/** What router advertisements say on this interface; empty when none of its subnets asks for them. */
function advertisement(
  port: WantRouter["interfaces"][number],
  { networks, subnets }: RouterSurroundings,
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
      owner: ownerOf("routers", router.id),
      columns: { type: "snat", external_ip: external, logical_ip: cidr, external_mac: [], logical_port: [] },
      places: [onRouter(router.id, "nat")],
    }))
}

/** A distributed one has a MAC address of its own, with which its port's host answers for it. */
export function floatingIpRows(floatingIp: WantFloatingIp): DesiredRow[] {
  return [natRow(floatingIp), ...floatingIpQosRows(floatingIp)]
}

function natRow(floatingIp: WantFloatingIp): DesiredRow {
  const { isDistributed } = floatingIp
  return {
    table: "NAT",
    id: floatingIp.id,
    owner: ownerOf("floatingIps", floatingIp.id),
    columns: {
      type: "dnat_and_snat",
      external_ip: floatingIp.floatingIpAddress,
      logical_ip: floatingIp.fixedIpAddress,
      external_mac: isDistributed ? [floatingIp.macAddress.toLowerCase()] : [],
      logical_port: isDistributed ? [floatingIp.portId] : [],
    },
    places: [onRouter(floatingIp.routerId, "nat")],
    externalIds: { "kumoi:port": floatingIp.portId },
  }
}

function routeRows(router: WantRouter): DesiredRow[] {
  const rows: DesiredRow[] = []
  const gateway = router.gateway
  const shared = {
    table: "Logical_Router_Static_Route",
    owner: ownerOf("routers", router.id),
    places: [onRouter(router.id, "static_routes")],
  } as const
  for (const { gatewayIp } of gateway?.fixedIps ?? []) {
    if (!gateway || gatewayIp === null) continue
    const isV6 = gatewayIp.includes(":")
    const id = `default${isV6 ? 6 : 4}-${router.id}`
    if (rows.some((row) => row.id === id)) continue
    rows.push({
      ...shared,
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
      ...shared,
      id: `route-${router.id}-${destination}-${nexthop}`,
      columns: { ip_prefix: destination, nexthop, output_port: [] },
    })
  return rows
}
