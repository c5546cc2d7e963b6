// A pair of devices between the host and the cloud's namespace.
//
// A veth stays when ovs-vswitchd is killed, while a port that Open vSwitch makes goes with it. Checksum offload is off
// at both ends where the userspace datapath holds one: it would pass on frames with a checksum that nobody filled in
// (measured: ping works, TCP hangs).
import { enterNetns } from "../../agent/ports/netns.ts"
import { exec } from "../../platform/exec/exec.ts"
import type { OvnPaths } from "./ovn-paths.ts"
import { attachLink, detachLink } from "./ovn-switch.ts"

export interface VethOptions {
  outer: string
  /** Its MAC address; without one, by chance. */
  outerMac?: string
  inner: string
  mtu: number
  /** The bridge that the inner end is a port of; null when it is none's. */
  bridge: string | null
}

export async function ensureVeth(paths: OvnPaths, options: VethOptions): Promise<void> {
  const { outer, outerMac, inner, mtu, bridge } = options
  const { netns } = paths
  const hasBoth = (await linkExists([], outer)) && (await linkExists(["-n", netns], inner))
  if (!hasBoth) {
    await exec("ip", ["link", "delete", outer], { okCodes: [0, 1] })
    await exec("ip", ["-n", netns, "link", "delete", inner], { okCodes: [0, 1] })
    if (bridge !== null) await detachLink(paths, bridge, inner)
    await exec("ip", ["link", "add", outer, "type", "veth", "peer", "name", inner, "netns", netns])
    if (bridge !== null) await attachLink(paths, bridge, inner)
  }
  if (bridge !== null) {
    const [program = "", ...enter] = enterNetns(paths.netnsFile)
    const offload = ["tx", "off", "tso", "off", "gso", "off", "gro", "off"]
    await exec("ethtool", ["-K", outer, ...offload])
    await exec(program, [...enter, "ethtool", "-K", inner, ...offload])
  }
  await exec("ip", ["-n", netns, "link", "set", inner, "mtu", String(mtu), "up"])
  const mac = outerMac === undefined ? [] : ["address", outerMac]
  await exec("ip", ["link", "set", outer, ...mac, "mtu", String(mtu), "up"])
}

async function linkExists(where: readonly string[], name: string): Promise<boolean> {
  const result = await exec("ip", [...where, "-o", "link", "show", "dev", name], { okCodes: [0, 1] })
  return result.exitCode === 0
}
