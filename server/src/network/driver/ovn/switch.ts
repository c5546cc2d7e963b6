// Networks as logical switches, ports as logical switch ports, names as DNS rows.
import type { NetworkWant, WantNetwork, WantPort, WantSubnet } from "../network-driver.ts"
import { domainName, portDhcp, subnetDhcpRow } from "./dhcp.ts"
import { quoted } from "./dhcp-extra-options.ts"
import type { DesiredRow } from "./row.ts"

export function switchRows(want: NetworkWant): DesiredRow[] {
  const subnets = new Map(want.subnets.map((subnet) => [subnet.id, subnet]))
  const portsOf = Map.groupBy(want.ports, (port) => port.networkId)
  const routerPortsOf = Map.groupBy(routerPorts(want), (port) => port.networkId)
  const rows: DesiredRow[] = []
  for (const network of want.networks) {
    const dhcp = want.subnets
      .filter((subnet) => subnet.networkId === network.id)
      .map((subnet) => subnetDhcpRow(subnet, network))
    rows.push(...dhcp.filter((row) => row !== undefined))
    const ports = portsOf.get(network.id) ?? []
    const members = (routerPortsOf.get(network.id) ?? []).map((port) => port.row)
    if (network.provider) members.push(localnetRow(network, network.provider))
    for (const port of ports) {
      if (port.kind === "router") continue
      const own = portRows(port, network, subnets)
      rows.push(...own.others)
      members.push(own.port)
    }
    const dns = dnsRow(network, ports)
    if (dns) rows.push(dns)
    rows.push(...members, switchRow(network, members, dns))
  }
  return rows
}

function switchRow(
  network: WantNetwork,
  members: readonly DesiredRow[],
  dns: DesiredRow | undefined,
): DesiredRow {
  return {
    table: "Logical_Switch",
    id: network.id,
    columns: { name: `kumoi-${network.id}`, other_config: { mcast_snoop: "false" } },
    refs: {
      ports: { table: "Logical_Switch_Port", ids: members.map((row) => row.id) },
      dns_records: { table: "DNS", ids: dns ? [dns.id] : [] },
    },
    externalIds: { "kumoi:name": network.name, "kumoi:mtu": String(network.mtu) },
  }
}

function localnetRow(network: WantNetwork, provider: NonNullable<WantNetwork["provider"]>): DesiredRow {
  const tag = provider.type === "vlan" && provider.segmentationId !== null ? [provider.segmentationId] : []
  return {
    table: "Logical_Switch_Port",
    id: `localnet-${network.id}`,
    columns: {
      name: `localnet-${network.id}`,
      type: "localnet",
      addresses: ["unknown"],
      options: { network_name: provider.physicalNetwork },
      tag,
    },
  }
}

/** The switch's side of every router interface and gateway. */
function routerPorts(want: NetworkWant): { networkId: string; row: DesiredRow }[] {
  const found: { networkId: string; row: DesiredRow }[] = []
  for (const router of want.routers) {
    const gateway = router.gateway ? [router.gateway] : []
    for (const port of [...router.interfaces, ...gateway]) {
      if (port.fixedIps.length === 0) continue
      const options: Record<string, string> = { "router-port": `lrp-${port.portId}` }
      // The outside learns of the router's and its NAT's addresses by gratuitous ARP.
      if (port === router.gateway) options["nat-addresses"] = "router"
      found.push({
        networkId: port.networkId,
        row: {
          table: "Logical_Switch_Port",
          id: port.portId,
          columns: { name: port.portId, type: "router", addresses: ["router"], options, enabled: [true] },
        },
      })
    }
  }
  return found
}

export function portRows(
  port: WantPort,
  network: WantNetwork,
  subnets: ReadonlyMap<string, WantSubnet>,
): { port: DesiredRow; others: DesiredRow[] } {
  const dhcp = portDhcp(port, subnets, network)
  const options: Record<string, string> = {}
  if (port.hostId !== null && port.kind === "vif") options["requested-chassis"] = port.hostId
  if (port.dnsName !== null && port.dnsName !== "" && dhcp.v4.length > 0)
    options.hostname = quoted(port.dnsName)
  return {
    others: dhcp.rows,
    port: {
      table: "Logical_Switch_Port",
      id: port.id,
      columns: {
        name: port.id,
        type: port.kind === "metadata" ? "localport" : "",
        addresses: addresses(port),
        port_security: portSecurity(port),
        enabled: [port.adminStateUp && network.adminStateUp],
        options,
      },
      refs: {
        dhcpv4_options: { table: "DHCP_Options", ids: dhcp.v4 },
        dhcpv6_options: { table: "DHCP_Options", ids: dhcp.v6 },
      },
      externalIds: { "kumoi:name": port.name },
    },
  }
}

function addresses(port: WantPort): string[] {
  const list = [ownAddresses(port)]
  for (const [mac, ips] of foreignPairs(port)) list.push([mac, ...ips].join(" "))
  if (port.kind === "vif" && !port.portSecurityEnabled) list.push("unknown")
  return list
}

function portSecurity(port: WantPort): string[] {
  if (port.kind !== "vif" || !port.portSecurityEnabled) return []
  const same = port.allowedAddressPairs
    .filter((pair) => pair.macAddress.toLowerCase() === port.macAddress.toLowerCase())
    .map((pair) => pair.ipAddress)
  const own = [ownAddresses(port), ...new Set(same)].join(" ")
  return [own, ...[...foreignPairs(port)].map(([mac, ips]) => [mac, ...ips].join(" "))]
}

function ownAddresses(port: WantPort): string {
  return [port.macAddress.toLowerCase(), ...port.fixedIps.map((fixed) => fixed.ipAddress)].join(" ")
}

function foreignPairs(port: WantPort): Map<string, string[]> {
  const pairs = new Map<string, string[]>()
  for (const { ipAddress, macAddress } of port.allowedAddressPairs) {
    const mac = macAddress.toLowerCase()
    if (mac === port.macAddress.toLowerCase()) continue
    pairs.set(mac, [...(pairs.get(mac) ?? []), ipAddress])
  }
  return pairs
}

/** Names of one port, each with the port's addresses. */
export function portRecords(port: WantPort, domain: string | undefined): Record<string, string> {
  if (port.dnsName === null || port.dnsName === "" || port.fixedIps.length === 0) return {}
  const name = port.dnsName.toLowerCase()
  const ips = port.fixedIps.map((fixed) => fixed.ipAddress).join(" ")
  return { [name]: ips, ...(domain === undefined ? {} : { [`${name}.${domain}`]: ips }) }
}

function dnsRow(network: WantNetwork, ports: readonly WantPort[]): DesiredRow | undefined {
  const domain = domainName(network)?.toLowerCase()
  const records: Record<string, string> = {}
  for (const port of ports) Object.assign(records, portRecords(port, domain))
  if (Object.keys(records).length === 0) return undefined
  return { table: "DNS", id: network.id, columns: { records } }
}
