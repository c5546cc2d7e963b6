// What this machine can do for a real network, for `kumoi doctor`, and a free prefix for the public network.
import { existsSync } from "node:fs"
import { BlockList, isIPv6 } from "node:net"
import { exec } from "../../platform/exec/exec.ts"
import type { DatapathType } from "./ovn.ts"

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

/** Prefixes that this machine has an address or a route in, without those of the device `exceptDevice`. */
export async function usedPrefixes(exceptDevice?: string): Promise<{ prefix: string; device: string }[]> {
  const found: { prefix: string; device: string }[] = []
  for (const family of ["-4", "-6"]) {
    const { stdout } = await exec("ip", ["-j", family, "route", "show", "table", "all"], {
      okCodes: [0, 1, 2],
    })
    const routes = (stdout.trim() === "" ? [] : JSON.parse(stdout)) as {
      dst?: string
      dev?: string
      type?: string
    }[]
    for (const { dst, dev, type } of routes) {
      if (dst === undefined || dst === "default" || dev === undefined || dev === exceptDevice) continue
      if (type === "broadcast" || type === "multicast" || type === "anycast") continue
      const length = isIPv6(dst.split("/")[0] ?? "") ? 128 : 32
      found.push({ prefix: dst.includes("/") ? dst : `${dst}/${length}`, device: dev })
    }
  }
  return found
}

export function overlap(a: string, b: string): boolean {
  return contains(a, b) || contains(b, a)
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

/** The first of these addresses with prefix whose prefix nothing on this machine uses; undefined when all are taken. */
export async function freePublicAddress(candidates: readonly string[]): Promise<string | undefined> {
  const used = await usedPrefixes()
  return candidates.find((candidate) => !used.some(({ prefix }) => overlap(prefix, candidate)))
}
