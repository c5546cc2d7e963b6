// What this machine can do for a real network, for `kumoi doctor`, and a free prefix for the public network.
import { existsSync } from "node:fs"
import { BlockList, isIPv6 } from "node:net"
import { exec } from "../../platform/exec/exec.ts"
import type { DatapathType } from "./ovn-paths.ts"

export interface NetworkCheck {
  name: string
  isOk: boolean
  /** One sentence: how it stands. */
  message: string
  /** What would put it right; null when nothing is to be done. */
  fix: string | null
}

export interface NetworkProbe {
  isReady: boolean
  datapathType: DatapathType
  checks: NetworkCheck[]
}

const programs: readonly { path: string; package: string; why: string }[] = [
  { path: "/usr/bin/ovn-northd", package: "ovn-central", why: "turns the wanted network into flows" },
  { path: "/usr/bin/ovn-controller", package: "ovn-host", why: "brings the flows to this host" },
  { path: "/usr/sbin/ovs-vswitchd", package: "openvswitch-switch", why: "carries the packets" },
  { path: "/usr/sbin/haproxy", package: "haproxy", why: "is the metadata proxy of the networks" },
  { path: "/usr/sbin/ip", package: "iproute2", why: "makes namespaces and devices" },
  { path: "/usr/bin/nsenter", package: "util-linux", why: "runs engines inside the cloud's namespace" },
  { path: "/usr/sbin/ethtool", package: "ethtool", why: "switches checksum offload off" },
  { path: "/usr/sbin/nft", package: "nftables", why: "lets guests out through this host" },
]

export async function probeNetwork(): Promise<NetworkProbe> {
  const checks = [checkRoot(), ...programs.map(checkProgram), checkTun()]
  if (checks.every((check) => check.isOk)) checks.push(await checkNamespaces(), await checkNat())
  const datapathType = await probeDatapath()
  checks.push(
    datapathType === "system"
      ? {
          name: "datapath",
          isOk: true,
          message: "Packets pass in the kernel (openvswitch module).",
          fix: null,
        }
      : {
          name: "datapath",
          isOk: true,
          message: "Packets pass in user space: everything works, at a fraction of the speed.",
          fix: "For the kernel's datapath use a kernel with the openvswitch module (modprobe openvswitch).",
        },
  )
  return { isReady: checks.every((check) => check.isOk), datapathType, checks }
}

/** The kernel's datapath where its module is there or can be loaded, else the one in user space. */
export async function probeDatapath(): Promise<DatapathType> {
  if (existsSync("/sys/module/openvswitch")) return "system"
  try {
    await exec("modprobe", ["openvswitch"])
    return existsSync("/sys/module/openvswitch") ? "system" : "netdev"
  } catch {
    return "netdev"
  }
}

function checkRoot(): NetworkCheck {
  const isOk = process.getuid?.() === 0
  return {
    name: "root",
    isOk,
    message: isOk ? "Running as root." : "A real network needs root: it makes namespaces and devices.",
    fix: isOk ? null : "Run with sudo, or use --network fake.",
  }
}

function checkProgram(program: (typeof programs)[number]): NetworkCheck {
  const isOk = existsSync(program.path)
  return {
    name: program.package,
    isOk,
    message: isOk ? `${program.path} ${program.why}.` : `${program.path} is missing; it ${program.why}.`,
    fix: isOk ? null : `apt-get install ${program.package}`,
  }
}

function checkTun(): NetworkCheck {
  const isOk = existsSync("/dev/net/tun")
  return {
    name: "tun",
    isOk,
    message: isOk ? "/dev/net/tun is there for the guests' interfaces." : "/dev/net/tun is missing.",
    fix: isOk ? null : "modprobe tun; in a container, pass the device in.",
  }
}

/** Being root in a container is not enough: try it. */
async function checkNamespaces(): Promise<NetworkCheck> {
  const name = "namespaces"
  try {
    await exec("unshare", [
      "--net",
      "ip",
      "link",
      "add",
      "km-probe",
      "type",
      "veth",
      "peer",
      "name",
      "kx-probe",
    ])
    return { name, isOk: true, message: "Network namespaces and veth pairs can be made.", fix: null }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return {
      name,
      isOk: false,
      message: `Network namespaces or veth pairs cannot be made here: ${why}`,
      fix: "Give the container CAP_NET_ADMIN and CAP_SYS_ADMIN, or use --network fake.",
    }
  }
}

async function checkNat(): Promise<NetworkCheck> {
  const name = "nat"
  const script =
    "table inet kumoi_probe { chain c { type nat hook postrouting priority srcnat; masquerade; }; }"
  try {
    await exec("unshare", ["--net", "nft", "-f", "-"], { input: `${script}\n` })
    return {
      name,
      isOk: true,
      message: "nftables can masquerade: guests get out through this host.",
      fix: null,
    }
  } catch {
    return {
      name,
      isOk: true,
      message: "nftables cannot masquerade here: guests reach this host, but nothing beyond it.",
      fix: "Load the kernel modules nf_tables and nft_masq.",
    }
  }
}

export interface UsedPrefix {
  prefix: string
  device: string
}

/**
 * What on this machine stands in the way of a public network at this address: a prefix inside of it, or a network that
 * the machine is itself part of around it. A wide route through a gateway (a VPN's) does not: ours is more precise.
 */
export async function prefixConflict(
  address: string,
  exceptDevice?: string,
): Promise<UsedPrefix | undefined> {
  for (const route of await readRoutes()) {
    if (route.device === exceptDevice) continue
    const isPartOf = route.isDirect && prefixLength(route.prefix) >= 8 && contains(route.prefix, address)
    if (isPartOf || contains(address, route.prefix)) return { prefix: route.prefix, device: route.device }
  }
  return undefined
}

interface Route extends UsedPrefix {
  /** Reached without a gateway. */
  isDirect: boolean
}

async function readRoutes(): Promise<Route[]> {
  const found: Route[] = []
  for (const family of ["-4", "-6"]) {
    const { stdout } = await exec("ip", ["-j", family, "route", "show", "table", "all"], {
      okCodes: [0, 1, 2],
    })
    const routes = (stdout.trim() === "" ? [] : JSON.parse(stdout)) as Record<string, unknown>[] // by ip -j
    for (const { dst, dev, type, gateway } of routes) {
      if (typeof dst !== "string" || dst === "default" || typeof dev !== "string") continue
      if (type === "broadcast" || type === "multicast" || type === "anycast") continue
      const prefix = dst.includes("/") ? dst : `${dst}/${isIPv6(dst) ? 128 : 32}`
      found.push({ prefix, device: dev, isDirect: gateway === undefined })
    }
  }
  return found
}

function prefixLength(prefix: string): number {
  return Number(prefix.split("/")[1])
}

function contains(prefix: string, other: string): boolean {
  const [network = "", length = ""] = prefix.split("/")
  const [address = ""] = other.split("/")
  if (isIPv6(network) !== isIPv6(address)) return false
  const family = isIPv6(network) ? "ipv6" : "ipv4"
  const list = new BlockList()
  list.addSubnet(network, Number(length), family)
  return list.check(address, family)
}

/**
 * Two addresses between the host and a cloud's namespace, of the link-local ones, which no router passes on. By the id,
 * so that it is mostly the first that is free.
 */
export async function freeTransferPrefix(
  id: string,
  exceptDevice: string,
): Promise<{ outerAddress: string; innerAddress: string }> {
  const routes = (await readRoutes()).filter((route) => route.device !== exceptDevice)
  for (let n = 0; n < transferCount; n++) {
    const at = transferFirst + ((Number.parseInt(id, 16) + n) % transferCount) * 4
    const address = (offset: number) => `169.254.${(at + offset) >> 8}.${(at + offset) & 255}`
    const prefix = `${address(0)}/30`
    // Of the whole of it (a "zeroconf" route) ours is the more precise part.
    const isInWay = (route: UsedPrefix) =>
      contains(prefix, route.prefix) || (prefixLength(route.prefix) > 16 && contains(route.prefix, prefix))
    if (!routes.some(isInWay)) return { outerAddress: address(1), innerAddress: address(2) }
  }
  throw new Error("all of 169.254.192.0/18 is in use on this machine")
}

/** 169.254.192.0/18: clear of the addresses that clouds' metadata services have for their machines. */
const transferFirst = 192 << 8
const transferCount = (64 << 8) / 4

/** The first of these addresses with prefix that nothing stands in the way of; undefined when all are taken. */
export async function freePublicAddress(candidates: readonly string[]): Promise<string | undefined> {
  for (const candidate of candidates) if ((await prefixConflict(candidate)) === undefined) return candidate
  return undefined
}
