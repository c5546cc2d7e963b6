// OVN answers DHCP itself from DHCP_Options rows: one for each subnet, and one of its own for a port that asks for
// more. Option names and forms: ovn-nb(5), "DHCP Options TABLE".
import { createHash } from "node:crypto"
import type { WantNetwork, WantPort, WantSubnet } from "../network-driver.ts"
import { extraOptions, isDhcpDisabled, quoted } from "./dhcp-extra-options.ts"
import { type DesiredRow, ownerOf } from "./row.ts"

const leaseSeconds = "43200"
const metadataAddress = "169.254.169.254/32"

export function subnetDhcpRow(subnet: WantSubnet, network: WantNetwork): DesiredRow | undefined {
  const options = subnetOptions(subnet, network)
  const owner = ownerOf("subnets", subnet.id)
  return options && { table: "DHCP_Options", id: subnet.id, owner, columns: { cidr: subnet.cidr, options } }
}

/** The row that this port's DHCP answers come from, by address family, and the row itself if it is the port's own. */
export function portDhcp(
  port: WantPort,
  subnets: ReadonlyMap<string, WantSubnet>,
  network: WantNetwork,
): { v4: string | undefined; v6: string | undefined; rows: DesiredRow[] } {
  const chosen = new Map<4 | 6, string>()
  const found = () => ({ v4: chosen.get(4), v6: chosen.get(6), rows })
  const rows: DesiredRow[] = []
  if (port.kind !== "vif") return found()
  for (const { subnetId } of port.fixedIps) {
    const subnet = subnets.get(subnetId)
    const base = subnet && subnetOptions(subnet, network)
    if (!subnet || !base) continue
    const { ipVersion } = subnet
    if (chosen.has(ipVersion) || isDhcpDisabled(port, ipVersion)) continue
    const extra = extraOptions(port, ipVersion)
    const isOwn = Object.keys(extra).length > 0
    const id = isOwn ? `${subnet.id}-${port.id}` : subnet.id
    chosen.set(ipVersion, id)
    if (!isOwn) continue
    rows.push({
      table: "DHCP_Options",
      id,
      owner: ownerOf("ports", port.id),
      columns: { cidr: subnet.cidr, options: { ...base, ...extra } },
    })
  }
  return found()
}

function subnetOptions(subnet: WantSubnet, network: WantNetwork): Record<string, string> | undefined {
  if (!subnet.enableDhcp) return undefined
  return subnet.ipVersion === 4 ? optionsV4(subnet, network) : optionsV6(subnet, network)
}

function optionsV4(subnet: WantSubnet, network: WantNetwork): Record<string, string> {
  const options: Record<string, string> = {
    server_id: subnet.gatewayIp ?? subnet.serviceIp ?? firstHost(subnet.cidr),
    server_mac: serverMac(subnet.id),
    lease_time: leaseSeconds,
    mtu: String(network.mtu),
  }
  if (subnet.gatewayIp !== null) options.router = subnet.gatewayIp
  if (subnet.dnsNameservers.length > 0) options.dns_server = braced(subnet.dnsNameservers)
  const routes = staticRoutes(subnet)
  if (routes.length > 0) options.classless_static_route = braced(routes)
  const domain = domainName(network)
  if (domain !== undefined) options.domain_name = quoted(domain)
  return options
}

/** A client that gets classless routes ignores the router option, so the default route stands among them. */
function staticRoutes(subnet: WantSubnet): string[] {
  const routes = subnet.hostRoutes.map(({ destination, nexthop }) => `${destination},${nexthop}`)
  const hasOwnMetadata = subnet.hostRoutes.some(({ destination }) => destination === metadataAddress)
  if (subnet.serviceIp !== null && !hasOwnMetadata) routes.unshift(`${metadataAddress},${subnet.serviceIp}`)
  const hasOwnDefault = subnet.hostRoutes.some(({ destination }) => destination === "0.0.0.0/0")
  if (routes.length > 0 && subnet.gatewayIp !== null && !hasOwnDefault)
    routes.push(`0.0.0.0/0,${subnet.gatewayIp}`)
  return routes
}

function optionsV6(subnet: WantSubnet, network: WantNetwork): Record<string, string> | undefined {
  const mode = subnet.ipv6AddressMode
  if (mode === null || mode === "slaac") return undefined
  const options: Record<string, string> = { server_id: serverMac(subnet.id) }
  if (subnet.dnsNameservers.length > 0) options.dns_server = braced(subnet.dnsNameservers)
  if (mode === "dhcpv6-stateless") options.dhcpv6_stateless = "true"
  const domain = domainName(network)
  if (domain !== undefined) options.domain_search = quoted(domain)
  return options
}

export function domainName(network: WantNetwork): string | undefined {
  const name = network.dnsDomain?.replace(/\.$/, "")
  return name === "" ? undefined : name
}

function braced(items: readonly string[]): string {
  return `{${items.join(", ")}}`
}

/** The same on each reconcile, and no guest's: derived from the subnet. */
function serverMac(subnetId: string): string {
  const digest = createHash("sha256").update(subnetId).digest("hex")
  return `fa:16:3e:${digest.slice(0, 2)}:${digest.slice(2, 4)}:${digest.slice(4, 6)}`
}

function firstHost(cidr: string): string {
  const octets = (cidr.split("/")[0] ?? "").split(".").map(Number)
  return [...octets.slice(0, 3), (octets[3] ?? 0) + 1].join(".")
}
