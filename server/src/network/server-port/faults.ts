// What a request for a server's interfaces can be refused for, in the words that servers' clients know.
import { type Fault, fault } from "../../platform/fault/fault.ts"

export const ambiguousNetworks = fault(
  "conflict",
  "network.server.ambiguous",
  () => "Multiple possible networks found, use a Network ID to be more specific.",
)
export const serverNetworkMissing = fault(
  "invalid",
  "network.server.network_not_found",
  (id: string) => `Network ${id} could not be found.`,
)
export const serverPortMissing = fault(
  "invalid",
  "network.server.port_not_found",
  (id: string) => `Port ${id} could not be found.`,
)
export const serverPortTaken = fault(
  "conflict",
  "network.server.port_in_use",
  (id: string) => `Port ${id} is still in use.`,
)
export const serverPortNotUsable = fault(
  "invalid",
  "network.server.port_of_another_project",
  (id: string) => `Port ${id} not usable for the instance: it belongs to another project.`,
)
export const serverNetworkNeedsSubnet = fault(
  "invalid",
  "network.server.network_without_subnet",
  (id: string) => `Network ${id} requires a subnet in order to boot instances on.`,
)
export const serverFixedIpWrong = fault(
  "invalid",
  "network.server.fixed_ip_invalid",
  (address: string, networkId: string) =>
    `Fixed IP ${address} is not a valid ip address for network ${networkId}.`,
)
export const serverFixedIpTaken = fault(
  "invalid",
  "network.server.fixed_ip_in_use",
  (address: string) => `Fixed IP address ${address} is already in use on another instance.`,
)
export const serverOnExternalNetwork = fault(
  "forbidden",
  "network.server.external_network",
  (id: string) => `It is not allowed to create an interface on external network ${id}`,
)
export const serverGroupMissing = fault(
  "invalid",
  "network.server.security_group_not_found",
  (name: string, projectId: string) => `Security group ${name} not found for project ${projectId}.`,
)
export const serverGroupAmbiguous = fault(
  "conflict",
  "network.server.security_group_ambiguous",
  (name: string) => `Multiple security groups found matching '${name}'. Use an ID to be more specific.`,
)
export const serverGroupNotOn = fault(
  "not_found",
  "network.server.security_group_not_on_server",
  (group: string, serverId: string) =>
    `Security group ${group} is not associated with the instance ${serverId}`,
)
export const portQuotaExceeded = fault(
  "over_quota",
  "network.server.port_quota_exceeded",
  () => "Maximum number of ports exceeded",
)

export const serverHostWithoutWay = fault(
  "conflict",
  "network.server.host_without_way",
  (serverId: string) =>
    `The host of server ${serverId} does not reach the physical network of the network that was asked for.`,
)

/** Tried again, and after some tries on another host. */
export const portsNotPlugged = fault(
  "unavailable",
  "network.server.ports_not_plugged",
  () => "The server's host does not connect its interfaces to the network.",
)

/** Of a request for networks, when servers are made. */
export const serverNetworkFaults = [
  ambiguousNetworks,
  serverNetworkMissing,
  serverPortMissing,
  serverPortTaken,
  serverPortNotUsable,
  serverNetworkNeedsSubnet,
  serverFixedIpWrong,
  serverFixedIpTaken,
  serverOnExternalNetwork,
  serverGroupMissing,
  serverGroupAmbiguous,
] as const

/** The network's engine does not answer: it would not for another host either. */
export function isNetworkAway(found: Fault): boolean {
  return found.code.startsWith("network.engine.")
}
