// What one cloud needs on its host before its network engines start, and the removal of all of it.
//
//   where Kumoi was started             namespace kumoi-ID
//   km-ID  172.24.4.1/24  <== veth ==>  kx-ID -- br-ex -- patch -- br-int -- taps of guests, metadata ports
//   ip_forward, masquerade              ovs-vswitchd, ovn-controller, QEMU, HAProxy
//
// Why a namespace: the userspace datapath makes devices with fixed names (ovs-netdev, br-int), so two clouds in one
// namespace would take them from each other; and a guest's frames on a tap also reach the kernel's own stack,
// which has no address in there to answer with. A host that is no gateway of the public network has no such link, and
// one that has other hosts beside it has a second one, for its tunnels (ovn-tunnel.ts).
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
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
import { bootId, endProcess, processesWith } from "../../platform/exec/process.ts"
import { fault } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import { type BridgeMappings, ownPublicBridge } from "../../platform/net/bridge-mappings.ts"
import { engineMark } from "./ovn-daemon.ts"
import { type OvnPaths, ovnPaths } from "./ovn-paths.ts"
import { prefixConflict } from "./ovn-probe.ts"
import { ensureProviders, planProviders, removeProviders } from "./ovn-provider-links.ts"
import { type HostRecord, otherRecords, readRecord, writeRecord } from "./ovn-record.ts"
import { closeStack, ensureStorageLink, planStorageLink, removeStorageLink } from "./ovn-storage-link.ts"
import { ensureTunnel, planTunnel, removeTunnel, type TunnelOptions, tunnelDevice } from "./ovn-tunnel.ts"
import { ensureVeth } from "./ovn-veth.ts"
import { refuseStorageOverTunnel } from "./storage-networks.ts"

export interface NetworkHostOptions {
  /** The cloud's, or the host's own where it joined a cloud; see ovn-paths.ts. */
  id: string
  /** Gateway addresses of the public network with prefix length, e.g. `172.24.4.1/24`; none on a host that is no gateway. */
  publicAddresses: readonly string[]
  /** By which bridges of the machine it reaches physical networks. */
  bridgeMappings?: BridgeMappings
  /** Where there are other hosts. */
  tunnel?: TunnelOptions
  /** IPv4 prefixes of storage that QEMU reaches over the network itself. */
  storageNetworks?: readonly string[]
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

const forwardFiles = {
  ipv4: "/proc/sys/net/ipv4/ip_forward",
  ipv6: "/proc/sys/net/ipv6/conf/all/forwarding",
} as const

/** May be repeated at any time; keeps what is right, repairs what is not. */
export async function setUpNetworkHost(options: NetworkHostOptions): Promise<OvnPaths> {
  const paths = ovnPaths(options.id)
  if (options.tunnel) refuseStorageOverTunnel(options.storageNetworks ?? [], options.tunnel.address)
  await refuseUsedPrefixes(paths, options)
  const prior = readRecord(paths.recordFile)
  // Started in another namespace than before: what that one was like tells nothing of this one.
  const isSameHost = prior?.hostInode === ownNetnsInode()
  const known = isSameHost ? prior.tunnel : null
  const tunnel = options.tunnel ? await planTunnel(paths, options.tunnel, known) : null
  const providers = await planProviders(paths, options.bridgeMappings ?? {})
  mkdirSync(paths.runDir, { recursive: true, mode: 0o755 })
  const inode = await ensureNetns(paths.netns, prior?.netnsInode)
  const record: HostRecord = {
    bootId: bootId(),
    netnsInode: inode,
    hostInode: ownNetnsInode(),
    forwardBefore: isSameHost ? prior.forwardBefore : forwardBefore(paths),
    tunnel,
    storage: null,
  }
  writeRecord(paths.recordFile, record)
  await quietNetns(paths)
  if (options.publicAddresses.length > 0) await ensureLink(paths, options)
  else await exec("ip", ["link", "delete", paths.hostLink], { okCodes: [0, 1] })
  await ensureProviders(paths, providers)
  if (tunnel) await ensureTunnel(paths, tunnel)
  else if (prior?.tunnel) await removeTunnel(paths)
  const { storageNetworks = [] } = options
  // After the tunnels' link, whose addresses are others.
  if (storageNetworks.length > 0) {
    record.storage = await planStorageLink(paths, storageNetworks, isSameHost ? prior.storage : null)
    writeRecord(paths.recordFile, record)
    await ensureStorageLink(paths, record.storage)
  } else if (prior?.storage) await removeStorageLink(paths)
  const devices = [
    ...(tunnel ? [tunnelDevice(paths, tunnel)] : []),
    ...(record.storage ? [paths.storagePeer] : []),
  ]
  if (devices.length > 0) await closeStack(paths, devices)
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
  const { hostLink, bridgeLink } = paths
  await ensureVeth(paths, {
    outer: hostLink,
    outerMac: gatewayMac(options.publicAddresses),
    inner: bridgeLink,
    mtu: options.mtu ?? 1500,
    bridge: ownPublicBridge,
  })
  for (const address of options.publicAddresses) {
    const flags = isIPv6(address.split("/")[0] ?? "") ? ["nodad"] : []
    await exec("ip", ["address", "replace", address, "dev", hostLink, ...flags])
  }
}

/**
 * Of the public network's gateway, the same on each host that is one: routers have learned it, and when another host
 * takes over they go on sending to it.
 */
function gatewayMac(publicAddresses: readonly string[]): string {
  const bytes = createHash("sha256").update(publicAddresses.join(" ")).digest().subarray(0, 4)
  return `02:6b:${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`
}

async function ensureForwarding(
  paths: OvnPaths,
  options: NetworkHostOptions,
  record: HostRecord,
): Promise<void> {
  const rules: string[] = []
  if ((record.tunnel || record.storage) && record.forwardBefore.ipv4 !== null)
    writeFileSync(forwardFiles.ipv4, "1")
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

/** Removes all that `setUpNetworkHost` and the engines made, also what a killed process left; with the id alone. */
export async function tearDownNetworkHost(options: { id: string; log: Logger }): Promise<void> {
  const paths = ovnPaths(options.id)
  const record = readRecord(paths.recordFile)
  const names = netnsNames(paths.netns)
  const inodes = names.map(netnsInode).filter((inode) => inode !== undefined)
  if (record) inodes.push(record.netnsInode)
  const left = processesWith(engineMark, paths.runDir)
  await Promise.all(left.map((identity) => endProcess(identity, { graceMs: 5_000 })))
  const ended = left.length + (await endNetnsProcesses([...new Set(inodes)]))
  if (ended > 0) options.log.info({ ended }, "ended what still ran of the cloud's network")
  await exec("ip", ["link", "delete", paths.hostLink], { okCodes: [0, 1] })
  await removeProviders(paths)
  await removeTunnel(paths)
  await removeStorageLink(paths)
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
