// What one cloud needs on its host before its network engines start, and the removal of all of it.
//
//   where Kumoi was started             namespace kumoi-ID
//   km-ID  172.24.4.1/24  <== veth ==>  kx-ID -- br-ex -- patch -- br-int -- taps of guests, metadata ports
//   ip_forward, masquerade              ovs-vswitchd, ovn-controller, QEMU, HAProxy
//
// Why a namespace: the userspace datapath makes devices with fixed names (ovs-netdev, br-int), so two clouds in one
// namespace would take them from each other; and a guest's frames on a tap also reach the kernel's own stack,
// which has no address in there to answer with. Why a veth: it stays when ovs-vswitchd is killed, while a port that
// Open vSwitch makes goes with it. Checksum offload is off at both ends: the userspace datapath would pass on
// frames with a checksum that nobody filled in (measured: ping works, TCP hangs).
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { isIPv6 } from "node:net"
import {
  endNetnsProcesses,
  ensureNetns,
  enterNetns,
  netnsInode,
  netnsNames,
  ownNetnsInode,
  removeNetns,
} from "../../agent/ports/netns.ts"
import { exec } from "../../platform/exec/exec.ts"
import { bootId } from "../../platform/exec/process.ts"
import { fault } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import { type OvnPaths, ovnPaths } from "./ovn-paths.ts"
import { prefixConflict } from "./ovn-probe.ts"
import { attachLink, detachLink } from "./ovn-switch.ts"

export interface NetworkHostOptions {
  cloudId: string
  /** Gateway addresses of the public network with prefix length, e.g. `172.24.4.1/24`. */
  publicAddresses: readonly string[]
  mtu?: number
  log: Logger
}

const publicPrefixInUse = fault(
  "conflict",
  "network.host.public_prefix_in_use",
  (address: string, prefix: string, device: string) =>
    `The public network ${address} overlaps ${prefix}, which this machine reaches by ${device}. ` +
    "Choose another prefix for the public network; a second cloud on one machine needs its own.",
)

interface HostRecord {
  bootId: string
  /** The cloud's namespace, and the one that Kumoi was started in. */
  netnsInode: number
  hostInode: number
  /** Contents of ip_forward before the first cloud; null when it was not touched. */
  forwardBefore: { ipv4: string | null; ipv6: string | null }
}

const forwardFiles = {
  ipv4: "/proc/sys/net/ipv4/ip_forward",
  ipv6: "/proc/sys/net/ipv6/conf/all/forwarding",
} as const

/** May be repeated at any time; keeps what is right, repairs what is not. */
export async function setUpNetworkHost(options: NetworkHostOptions): Promise<OvnPaths> {
  const paths = ovnPaths(options.cloudId)
  await refuseUsedPrefixes(paths, options)
  mkdirSync(paths.runDir, { recursive: true, mode: 0o755 })
  const prior = readRecord(paths.recordFile)
  // Started in another namespace than before: what that one was like tells nothing of this one.
  const isSameHost = prior?.hostInode === ownNetnsInode()
  const inode = await ensureNetns(paths.netns, prior?.netnsInode)
  const record: HostRecord = {
    bootId: bootId(),
    netnsInode: inode,
    hostInode: ownNetnsInode(),
    forwardBefore: isSameHost ? prior.forwardBefore : forwardBefore(paths),
  }
  writeRecord(paths.recordFile, record)
  await quietNetns(paths)
  await ensureLink(paths, options)
  await ensureForwarding(paths, options, record)
  return paths
}

/** Two interfaces in one prefix would leave it to chance which cloud answers. */
async function refuseUsedPrefixes(paths: OvnPaths, options: NetworkHostOptions): Promise<void> {
  for (const address of options.publicAddresses) {
    const conflict = await prefixConflict(address, paths.hostLink)
    if (conflict) throw publicPrefixInUse(address, conflict.prefix, conflict.device)
  }
}

/** No IPv6 of the kernel's own in the cloud's namespace: its taps shall carry only what guests and OVN send. */
async function quietNetns(paths: OvnPaths): Promise<void> {
  const [program = "", ...args] = enterNetns(paths.netnsFile)
  const files = ["all", "default"].map((name) => `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`)
  if (!files.every((file) => existsSync(file))) return
  await exec(program, [...args, "tee", ...files], { input: "1" })
}

async function ensureLink(paths: OvnPaths, options: NetworkHostOptions): Promise<void> {
  const { hostLink, bridgeLink, netns } = paths
  const hasBoth = (await linkExists([], hostLink)) && (await linkExists(["-n", netns], bridgeLink))
  if (!hasBoth) {
    await exec("ip", ["link", "delete", hostLink], { okCodes: [0, 1] })
    await exec("ip", ["-n", netns, "link", "delete", bridgeLink], { okCodes: [0, 1] })
    await detachLink(paths)
    await exec("ip", ["link", "add", hostLink, "type", "veth", "peer", "name", bridgeLink, "netns", netns])
    await attachLink(paths)
  }
  const [program = "", ...enter] = enterNetns(paths.netnsFile)
  const offload = ["tx", "off", "tso", "off", "gso", "off", "gro", "off"]
  await exec("ethtool", ["-K", hostLink, ...offload])
  await exec(program, [...enter, "ethtool", "-K", bridgeLink, ...offload])
  const mtu = ["mtu", String(options.mtu ?? 1500)]
  await exec("ip", ["-n", netns, "link", "set", bridgeLink, ...mtu, "up"])
  await exec("ip", ["link", "set", hostLink, ...mtu, "up"])
  for (const address of options.publicAddresses) {
    const flags = isIPv6(address.split("/")[0] ?? "") ? ["nodad"] : []
    await exec("ip", ["address", "replace", address, "dev", hostLink, ...flags])
  }
}

async function linkExists(where: readonly string[], name: string): Promise<boolean> {
  const result = await exec("ip", [...where, "-o", "link", "show", "dev", name], { okCodes: [0, 1] })
  return result.exitCode === 0
}

async function ensureForwarding(
  paths: OvnPaths,
  options: NetworkHostOptions,
  record: HostRecord,
): Promise<void> {
  const rules: string[] = []
  for (const address of options.publicAddresses) {
    const isV6 = isIPv6(address.split("/")[0] ?? "")
    if (record.forwardBefore[isV6 ? "ipv6" : "ipv4"] === null) continue
    writeFileSync(forwardFiles[isV6 ? "ipv6" : "ipv4"], "1")
    const family = isV6 ? "ip6" : "ip"
    // nft masks the host's bits of the prefix itself.
    rules.push(`${family} saddr ${address} oifname != "${paths.hostLink}" masquerade`)
  }
  const script = [
    `add table inet ${paths.nftTable}`,
    `delete table inet ${paths.nftTable}`,
    `table inet ${paths.nftTable} {`,
    "  chain postrouting { type nat hook postrouting priority srcnat; policy accept;",
    ...rules.map((rule) => `    ${rule}`),
    "  }",
    "}",
  ]
  try {
    await exec("nft", ["-f", "-"], { input: `${script.join("\n")}\n` })
  } catch (error) {
    options.log.warn({ err: error }, "no masquerade: guests reach this host but nothing beyond it")
  }
}

/** Another cloud in this namespace has switched it on already: what counts is how it was before that one. */
function forwardBefore(paths: OvnPaths): HostRecord["forwardBefore"] {
  for (const other of otherRecords(paths)) if (other.hostInode === ownNetnsInode()) return other.forwardBefore
  return { ipv4: readSetting(forwardFiles.ipv4), ipv6: readSetting(forwardFiles.ipv6) }
}

/**
 * Of the other clouds that are on this machine. One whose namespace is gone is not: somebody removed it by hand, and
 * the kernel gives the number of its host's namespace to another one.
 */
function otherRecords(paths: OvnPaths): HostRecord[] {
  const found: HostRecord[] = []
  for (const name of readdirSync("/run")) {
    const id = /^kumoi-([0-9a-f]{8})$/.exec(name)?.[1]
    if (id === undefined || id === paths.cloudId) continue
    const other = ovnPaths(id)
    const record = readRecord(other.recordFile)
    if (record && netnsNames(other.netns).some((at) => netnsInode(at) === record.netnsInode))
      found.push(record)
  }
  return found
}

/** Removes all that `setUpNetworkHost` and the engines made, also what a killed process left; with the id alone. */
export async function tearDownNetworkHost(options: { cloudId: string; log: Logger }): Promise<void> {
  const paths = ovnPaths(options.cloudId)
  const record = readRecord(paths.recordFile)
  const names = netnsNames(paths.netns)
  const inodes = names.map(netnsInode).filter((inode) => inode !== undefined)
  if (record) inodes.push(record.netnsInode)
  const ended = await endNetnsProcesses([...new Set(inodes)])
  if (ended > 0) options.log.info({ ended }, "ended what still ran in the namespaces of the cloud")
  await exec("ip", ["link", "delete", paths.hostLink], { okCodes: [0, 1] })
  for (const name of names) await removeNetns(name)
  await exec("nft", ["delete", "table", "inet", paths.nftTable], { okCodes: [0, 1] }).catch(() => {})
  if (record && record.hostInode === ownNetnsInode()) restoreForwarding(paths, record)
  rmSync(paths.runDir, { recursive: true, force: true })
}

function restoreForwarding(paths: OvnPaths, record: HostRecord): void {
  if (otherRecords(paths).some((other) => other.hostInode === record.hostInode)) return
  for (const family of ["ipv4", "ipv6"] as const) {
    const value = record.forwardBefore[family]
    if (value !== null && readSetting(forwardFiles[family]) !== value)
      writeFileSync(forwardFiles[family], value)
  }
}

function readSetting(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim()
  } catch {
    return null
  }
}

function readRecord(path: string): HostRecord | undefined {
  try {
    const record: HostRecord = JSON.parse(readFileSync(path, "utf8"))
    return record.bootId === bootId() ? record : undefined
  } catch {
    return undefined
  }
}

function writeRecord(path: string, record: HostRecord): void {
  writeFileSync(`${path}.tmp`, JSON.stringify(record), { mode: 0o600 })
  renameSync(`${path}.tmp`, path)
}
