// Networks as logical switches, ports as logical switch ports, names as DNS rows.

import { eui64Address } from "../../../platform/net/address.ts"
import type { WantNetwork, WantPort, WantSubnet } from "../network-driver.ts"
import { domainName, portDhcp } from "./dhcp.ts"
import { quoted } from "./dhcp-extra-options.ts"
import { portQosRows } from "./qos.ts"
import { type DesiredRow, namesKey, ownerOf } from "./row.ts"
import { dropGroupId } from "./security-group.ts"

/** What of a network is said on all that stands on it, as external_ids: when it changes, they do. */
export const sharedKeys = ["kumoi:mtu", "kumoi:domain", "kumoi:up"] as const

export function networkRows(network: WantNetwork): DesiredRow[] {
  const owner = ownerOf("networks", network.id)
  const row: DesiredRow = {
    table: "Logical_Switch",
    id: network.id,
    owner,
    columns: { name: `kumoi-${network.id}`, other_config: { mcast_snoop: "false" } },
    externalIds: {
      "kumoi:name": network.name,
      "kumoi:mtu": String(network.mtu),
      "kumoi:domain": domainName(network) ?? "",
      "kumoi:up": String(network.adminStateUp),
    },
  }
  return network.provider ? [row, localnetRow(network, network.provider, owner)] : [row]
}

export const onSwitch = (networkId: string) =>
  ({ table: "Logical_Switch", id: networkId, column: "ports" }) as const

function localnetRow(
  network: WantNetwork,
  provider: NonNullable<WantNetwork["provider"]>,
  owner: string,
): DesiredRow {
  const tag = provider.type === "vlan" && provider.segmentationId !== null ? [provider.segmentationId] : []
  return {
    table: "Logical_Switch_Port",
    id: `localnet-${network.id}`,
    owner,
    columns: {
      name: `localnet-${network.id}`,
      type: "localnet",
      addresses: ["unknown"],
      options: { network_name: provider.physicalNetwork },
      tag,
    },
    places: [onSwitch(network.id)],
  }
}

/** A port of a machine or of the metadata service: its row, and DHCP rows of its own. */
export function portRows(
  port: WantPort,
  network: WantNetwork,
  subnets: ReadonlyMap<string, WantSubnet>,
): DesiredRow[] {
  const owner = ownerOf("ports", port.id)
  const dhcp = portDhcp(port, subnets, network)
  const row = (id: string | undefined) => (id === undefined ? null : ({ table: "DHCP_Options", id } as const))
  return [
    ...dhcp.rows,
    {
      table: "Logical_Switch_Port",
      id: port.id,
      owner,
      columns: {
        name: port.id,
        type: typeOf(port),
        addresses: addresses(port),
        port_security: portSecurity(port),
        enabled: [port.adminStateUp && network.adminStateUp],
        options: optionsOf(port, dhcp.v4 !== undefined),
      },
      places: [onSwitch(port.networkId), ...groupsOf(port)],
      refs: { dhcpv4_options: row(dhcp.v4), dhcpv6_options: row(dhcp.v6) },
      externalIds: { "kumoi:name": port.name, [namesKey]: namesOfPort(port, network).join(" ") },
    },
    ...portQosRows(port),
  ]
}

function typeOf(port: WantPort): string {
  if (port.kind === "metadata") return "localport"
  return port.virtual ? "virtual" : ""
}

function optionsOf(port: WantPort, hasDhcp: boolean): Record<string, string> {
  const options: Record<string, string> = {}
  if (port.virtual) {
    options["virtual-ip"] = port.virtual.ipAddress
    options["virtual-parents"] = port.virtual.parentIds.join(",")
  }
  if (port.hostId !== null && port.kind === "vif") options["requested-chassis"] = port.hostId
  if (port.dnsName !== null && port.dnsName !== "" && hasDhcp) options.hostname = quoted(port.dnsName)
  return options
}

function groupsOf(port: WantPort): NonNullable<DesiredRow["places"]> {
  if (port.kind !== "vif" || !port.portSecurityEnabled) return []
  return [dropGroupId, ...port.securityGroupIds].map((id) => ({ table: "Port_Group", id, column: "ports" }))
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
  const own = [ownAddresses(port), ...linkLocal(port), ...new Set(same)].join(" ")
  return [own, ...[...foreignPairs(port)].map(([mac, ips]) => [mac, ...ips].join(" "))]
}

const linkLocalPrefix = { version: 6, first: 0xfe80n << 112n, length: 64 } as const

/** Over IPv6 the metadata service is asked from the link's own address; OVN adds it beside other IPv6 addresses only. */
function linkLocal(port: WantPort): string[] {
  const isOfFourAlone = port.fixedIps.length > 0 && port.fixedIps.every((ip) => !ip.ipAddress.includes(":"))
  return isOfFourAlone ? [eui64Address(linkLocalPrefix, port.macAddress)] : []
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

/** The network's id and the names that the port has in it; empty for a port without a name. */
export function namesOfPort(port: WantPort, network: WantNetwork): string[] {
  if (port.dnsName === null || port.dnsName === "" || port.fixedIps.length === 0) return []
  const name = port.dnsName.toLowerCase()
  const domain = domainName(network)?.toLowerCase()
  return [network.id, name, ...(domain === undefined ? [] : [`${name}.${domain}`])]
}
