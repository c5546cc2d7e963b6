// QoS policies as QoS rows of the switch that a port is on: each packet is counted and marked on the port's host.
// A floating IP and a router's gateway are on the switch of the external network, behind the router's port there, on
// the host that translates their addresses.
import type { WantFloatingIp, WantPort, WantQos, WantRouter } from "../network-driver.ts"
import { type DesiredRow, ownerOf } from "./row.ts"

/** As Neutron has them: a floating IP's own limit counts, and not the gateway's. */
const priority = 2002
const floatingIpPriority = 2003

export function portQosRows(port: WantPort): DesiredRow[] {
  if (port.kind !== "vif") return []
  return qosRows(port.qos, {
    id: port.id,
    owner: ownerOf("ports", port.id),
    networkId: port.networkId,
    priority,
    port: port.id,
    only: () => "",
  })
}

export function gatewayQosRows({ id, gateway }: WantRouter): DesiredRow[] {
  if (!gateway || gateway.fixedIps.length === 0) return []
  return qosRows(gateway.qos, {
    id,
    owner: ownerOf("routers", id),
    networkId: gateway.networkId,
    priority,
    port: gateway.portId,
    only: () => whereResident(`cr-lrp-${gateway.portId}`),
  })
}

export function floatingIpQosRows(floatingIp: WantFloatingIp): DesiredRow[] {
  const { id, gatewayPortId, isDistributed, portId, floatingIpAddress } = floatingIp
  if (gatewayPortId === null) return []
  const resident = isDistributed ? portId : `cr-lrp-${gatewayPortId}`
  return qosRows(floatingIp.qos, {
    id,
    owner: ownerOf("floatingIps", id),
    networkId: floatingIp.networkId,
    priority: floatingIpPriority,
    port: gatewayPortId,
    only: (side) => ` && ip4.${side} == ${floatingIpAddress}${whereResident(resident)}`,
  })
}

interface Place {
  /** Of what has the policy. */
  id: string
  owner: string
  networkId: string
  priority: number
  /** What is limited passes this port of the switch. */
  port: string
  only: (side: "src" | "dst") => string
}

const whereResident = (port: string) => ` && is_chassis_resident("${port}")`

function qosRows(qos: WantQos | null, place: Place): DesiredRow[] {
  if (!qos) return []
  return [...row(place, "egress", qos.egress, qos.dscpMark), ...row(place, "ingress", qos.ingress, null)]
}

function row(
  place: Place,
  direction: "egress" | "ingress",
  limit: WantQos["egress"],
  dscp: number | null,
): DesiredRow[] {
  if (!limit && dscp === null) return []
  const isEgress = direction === "egress"
  const match = isEgress
    ? `inport == "${place.port}"${place.only("src")}`
    : `outport == "${place.port}"${place.only("dst")}`
  const bandwidth: Record<string, number> = {}
  if (limit) bandwidth.rate = limit.maxKbps
  if (limit && limit.maxBurstKbits !== null) bandwidth.burst = limit.maxBurstKbits
  return [
    {
      table: "QoS",
      id: `${direction}-${place.id}`,
      owner: place.owner,
      columns: {
        priority: place.priority,
        direction: isEgress ? "from-lport" : "to-lport",
        match,
        action: dscp === null ? {} : { dscp },
        bandwidth,
      },
      places: [{ table: "Logical_Switch", id: place.networkId, column: "qos_rules" }],
    },
  ]
}
