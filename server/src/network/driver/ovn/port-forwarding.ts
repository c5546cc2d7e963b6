// Port forwardings, as load balancers of one member each: what comes to a port of the floating IP goes to the inner
// one.
import type { WantPortForwarding } from "../network-driver.ts"
import { type DesiredRow, ownerOf } from "./row.ts"

/**
 * The router has it for what comes from outside. The switches behind the router have it for what comes from there: the
 * router never sees the answer of a neighbour, and would not turn it back.
 */
export function portForwardingRow(forwarding: WantPortForwarding): DesiredRow {
  const { id, protocol, routerId, networkIds } = forwarding
  return {
    table: "Load_Balancer",
    id,
    owner: ownerOf("portForwardings", id),
    columns: { name: `kumoi-forwarding-${id}`, protocol: [protocol], vips: vipsOf(forwarding) },
    places: [
      { table: "Logical_Router", id: routerId, column: "load_balancer" },
      ...networkIds.map(
        (networkId) => ({ table: "Logical_Switch", id: networkId, column: "load_balancer" }) as const,
      ),
    ],
  }
}

function vipsOf(forwarding: WantPortForwarding): Record<string, string> {
  const { floatingIpAddress, internalIpAddress, externalPorts, internalPorts } = forwarding
  const vips: Record<string, string> = {}
  for (let port = externalPorts.first; port <= externalPorts.last; port++) {
    const internal = Math.min(internalPorts.first + port - externalPorts.first, internalPorts.last)
    vips[`${floatingIpAddress}:${port}`] = `${internalIpAddress}:${internal}`
  }
  return vips
}
