// Ways of a host to physical networks, by bridges that its operator made, with the networks' wires in them:
//
//   where Kumoi was started            namespace kumoi-ID
//   br-dc -- kp-IDxxxx  <== veth ==>  kq-IDxxxx -- bp-xxxx -- patch -- br-int
//
// xxxx follows from the physical network's name. The bridge passes frames with a VLAN's tag as they are, unless its
// operator filters VLANs (`vlan_filtering`) and leaves this port out.
import { createHash } from "node:crypto"
import { fault } from "../../platform/fault/fault.ts"
import type { BridgeMappings } from "../../platform/net/bridge-mappings.ts"
import type { OvnPaths } from "./ovn-paths.ts"

export interface Provider {
  physicalNetwork: string
  /** The machine's. */
  bridge: string
  /** A port of it. */
  outer: string
  /** The other end, a port of `switchBridge` inside the cloud's namespace. */
  inner: string
  switchBridge: string
}

/** So are the switch's bridges named that lead to a physical network. */
export const providerBridgePrefix = "bp-"

const namesTooAlike = fault(
  "invalid",
  "network.host.physical_networks_alike",
  (names: string) =>
    `The physical networks ${names} cannot be told apart on this machine; name one of them differently.`,
)

export function providersOf(paths: OvnPaths, mappings: BridgeMappings): Provider[] {
  const providers = Object.entries(mappings).map(([physicalNetwork, bridge]) => {
    const mark = createHash("sha256").update(physicalNetwork).digest("hex").slice(0, 4)
    return {
      ...{ physicalNetwork, bridge },
      outer: `${outerPrefix(paths)}${mark}`,
      inner: `kq-${paths.id}${mark}`,
      switchBridge: `${providerBridgePrefix}${mark}`,
    }
  })
  for (const group of Map.groupBy(providers, ({ switchBridge }) => switchBridge).values())
    if (group.length > 1)
      throw namesTooAlike(group.map(({ physicalNetwork }) => physicalNetwork).join(" and "))
  return providers
}

export const outerPrefix = ({ id }: OvnPaths) => `kp-${id}`
