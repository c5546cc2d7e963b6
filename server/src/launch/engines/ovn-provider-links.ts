// Makes the ways to physical networks (ovn-providers.ts), and takes them away.
import { exec } from "../../platform/exec/exec.ts"
import { fault } from "../../platform/fault/fault.ts"
import type { BridgeMappings } from "../../platform/net/bridge-mappings.ts"
import type { OvnPaths } from "./ovn-paths.ts"
import { outerPrefix, type Provider, providersOf } from "./ovn-providers.ts"
import { ensureVeth } from "./ovn-veth.ts"

const noBridge = fault(
  "precondition",
  "network.host.no_bridge",
  (bridge: string, physicalNetwork: string) =>
    `${bridge}, by which this machine is to reach the physical network ${physicalNetwork}, is no bridge here. ` +
    `Make it (ip link add ${bridge} type bridge; ip link set ${bridge} up) and put the network's interface in it.`,
)

export interface ProviderPlan {
  providers: readonly (Provider & { mtu: number })[]
  /** Links of this cloud to bridges that are not named any more. */
  left: readonly string[]
}

/** Says how the ways go, or refuses what cannot be. Changes nothing. */
export async function planProviders(paths: OvnPaths, mappings: BridgeMappings): Promise<ProviderPlan> {
  const links = await readLinks()
  const providers = providersOf(paths, mappings).map((provider) => {
    const { bridge, physicalNetwork } = provider
    const found = links.find(({ name, kind }) => name === bridge && kind === "bridge")
    if (!found) throw noBridge(bridge, physicalNetwork)
    return { ...provider, mtu: found.mtu }
  })
  const isWanted = (name: string) => providers.some(({ outer }) => outer === name)
  return { providers, left: ownLinks(paths, links).filter((name) => !isWanted(name)) }
}

/** May be repeated at any time; takes away those that are not named. */
export async function ensureProviders(paths: OvnPaths, { providers, left }: ProviderPlan): Promise<void> {
  await removeLinks(left)
  for (const { bridge, outer, inner, switchBridge, mtu } of providers) {
    await ensureVeth(paths, { outer, inner, mtu, bridge: switchBridge })
    await exec("ip", ["link", "set", outer, "master", bridge])
  }
}

export async function removeProviders(paths: OvnPaths): Promise<void> {
  await removeLinks(ownLinks(paths, await readLinks()))
}

function ownLinks(paths: OvnPaths, links: readonly Link[]): string[] {
  return links.map(({ name }) => name).filter((name) => name.startsWith(outerPrefix(paths)))
}

/** Both ends of each go together. */
async function removeLinks(names: readonly string[]): Promise<void> {
  for (const name of names) await exec("ip", ["link", "delete", name], { okCodes: [0, 1] })
}

interface Link {
  name: string
  /** `bridge`, `veth`; undefined for a piece of hardware. */
  kind: string | undefined
  mtu: number
}

async function readLinks(): Promise<Link[]> {
  const { stdout } = await exec("ip", ["-j", "-d", "link", "show"])
  // By ip -j.
  const links = JSON.parse(stdout) as { ifname: string; mtu: number; linkinfo?: { info_kind?: string } }[]
  return links.map(({ ifname, mtu, linkinfo }) => ({ name: ifname, kind: linkinfo?.info_kind, mtu }))
}
