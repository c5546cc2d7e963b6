// The way of a host's tunnels to the other hosts: out of the cloud's namespace and onto the host's own address, which
// stays the kernel's.
//
//   host: ADDR on its uplink                          namespace kumoi-ID
//   kt-ID 169.254.x.1/30      <== veth ==>  ku-ID -- br-phy 169.254.x.2/30   userspace datapath: its bridge for tunnels
//   kt-ID 169.254.x.1/30      <== veth ==>  ku-ID 169.254.x.2/30             kernel datapath: the kernel's tunnels
//
// Datagrams of the tunnels have their one address changed on the way, without a memory of connections: what becomes of
// them is known beforehand. Nothing but these passes. Inside, what comes from a guest's device is dropped before the
// kernel's own stack, which has an address now and would answer (measured): see `closeStack`.
import { readFileSync } from "node:fs"
import { ownNetnsInode } from "../../agent/ports/netns.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { fault, invalid } from "../../platform/fault/fault.ts"
import { type DatapathType, type OvnPaths, tunnelBridge } from "./ovn-paths.ts"
import { freeTransferPrefix } from "./ovn-probe.ts"
import { type EncapType, otherRecords, readRecord, type Tunnel } from "./ovn-record.ts"
import { ensureVeth } from "./ovn-veth.ts"

export interface TunnelOptions {
  /** This host's IPv4 address that the other hosts reach. */
  address: string
  /** All hosts of a cloud have the same. */
  type?: EncapType
  datapathType: DatapathType
  /** The MTU that tenants' networks have (`network.tunnelMtu`), when it shall be looked whether it fits. */
  tenantMtu?: number
}

const ports: Record<EncapType, number> = { geneve: 6081, vxlan: 4789 }

/** Outer Ethernet's payload: IPv4 20, UDP 8, Geneve 8 and OVN's options 8 (VXLAN: 8), inner Ethernet 14. */
const overheadBytes: Record<EncapType, number> = { geneve: 58, vxlan: 50 }

const notHere = fault(
  "invalid",
  "network.tunnel.address_not_here",
  (address: string) =>
    `${address} is no IPv4 address of this machine; tunnels need one that other hosts reach.`,
)

const tooSmall = fault(
  "conflict",
  "network.tunnel.mtu",
  (address: string, mtu: number, fits: number, tenantMtu: number) =>
    `The link of ${address} carries packets of ${mtu} bytes: tunnels over it carry ${fits}, and tenants' networks ` +
    `have ${tenantMtu}. Set network.tunnelMtu to ${fits} or less, or raise the link's MTU on every host.`,
)

const portInUse = fault(
  "conflict",
  "network.tunnel.port_in_use",
  (address: string, port: number, by: string) =>
    `UDP port ${port} of ${address} is in use on this machine by ${by}; the tunnels of this cloud need it.`,
)

/** Says how the tunnels go, or refuses what cannot be. Changes nothing. */
export async function planTunnel(
  paths: OvnPaths,
  options: TunnelOptions,
  known: Tunnel | null,
): Promise<Tunnel> {
  const { address, type = "geneve", datapathType, tenantMtu } = options
  const mtu = await linkMtu(address)
  const fits = mtu - overheadBytes[type]
  if (tenantMtu !== undefined && tenantMtu > fits) throw tooSmall(address, mtu, fits, tenantMtu)
  const isOther = ({ hostInode, tunnel }: ReturnType<typeof otherRecords>[number]) =>
    hostInode === ownNetnsInode() && tunnel?.address === address && tunnel.type === type
  if (otherRecords(paths).some(isOther)) throw portInUse(address, ports[type], "another cloud")
  if (hasUdpSocket(address, ports[type])) throw portInUse(address, ports[type], "another program")
  const { outerAddress, innerAddress } = known ?? (await freeTransferPrefix(paths.id, paths.tunnelLink))
  return { address, type, datapathType, mtu, outerAddress, innerAddress }
}

async function linkMtu(address: string): Promise<number> {
  if (!/^[\d.]+$/.test(address))
    throw invalid("address", `Tunnels between hosts need IPv4, and ${address} is none; see --listen.`)
  const { stdout } = await exec("ip", ["-j", "-4", "address", "show", "to", `${address}/32`])
  const links = JSON.parse(stdout) as { mtu?: number }[] // by ip -j; a link without the address is an empty object
  const mtu = links.find((link) => link.mtu !== undefined)?.mtu
  if (mtu === undefined) throw notHere(address)
  return mtu
}

/** The kernel's own tunnels, too, are sockets there. */
function hasUdpSocket(address: string, port: number): boolean {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0")
  const bytes = address.split(".").map((part) => Number(part).toString(16).toUpperCase().padStart(2, "0"))
  const taken = new Set([`00000000:${hexPort}`, `${bytes.reverse().join("")}:${hexPort}`])
  const everywhere = `${"0".repeat(32)}:${hexPort}`
  return (
    localAddresses("/proc/self/net/udp").some((local) => taken.has(local)) ||
    localAddresses("/proc/self/net/udp6").includes(everywhere)
  )
}

function localAddresses(file: string): string[] {
  try {
    const [, ...lines] = readFileSync(file, "utf8").trim().split("\n")
    return lines.map((line) => line.trim().split(/\s+/)[1] ?? "")
  } catch {
    return []
  }
}

/** May be repeated at any time; keeps what is right, repairs what is not. */
export async function ensureTunnel(paths: OvnPaths, tunnel: Tunnel): Promise<void> {
  const { tunnelLink: outer, tunnelPeer: inner, netns } = paths
  const { outerAddress, mtu } = tunnel
  const isOfSwitch = tunnel.datapathType === "netdev"
  await ensureVeth(paths, { outer, inner, mtu, bridge: isOfSwitch ? tunnelBridge : null })
  await exec("ip", ["address", "replace", `${outerAddress}/30`, "dev", outer])
  if (!isOfSwitch) await addressInside(netns, inner, tunnel)
  await exec("nft", ["-f", "-"], { input: outerRules(paths, tunnel) })
}

/** Where datagrams of the tunnels come in, inside. */
export function tunnelDevice({ tunnelPeer }: OvnPaths, { datapathType }: Tunnel): string {
  return datapathType === "netdev" ? tunnelBridge : tunnelPeer
}

export async function removeTunnel(paths: OvnPaths): Promise<void> {
  await exec("ip", ["link", "delete", paths.tunnelLink], { okCodes: [0, 1] })
  await exec("nft", ["delete", "table", "inet", paths.tunnelTable], { okCodes: [0, 1] }).catch(() => {})
}

const bridgeTimeoutMs = 10_000

/** The tunnels' bridge goes with ovs-vswitchd, and its address with it. */
export async function addressTunnel(paths: OvnPaths): Promise<void> {
  const tunnel = readRecord(paths.recordFile)?.tunnel
  if (tunnel?.datapathType !== "netdev") return
  const show = ["-n", paths.netns, "-o", "link", "show", "dev", tunnelBridge]
  const isThere = async () => (await exec("ip", show, { okCodes: [0, 1] })).exitCode === 0
  await eventually("the bridge of the tunnels", isThere, { timeoutMs: bridgeTimeoutMs })
  await addressInside(paths.netns, tunnelBridge, tunnel)
}

/** The route is for tunnels: nothing else in the namespace sends to where no other route is, nor would it pass. */
async function addressInside(netns: string, device: string, tunnel: Tunnel): Promise<void> {
  const lines = [
    `address replace ${tunnel.innerAddress}/30 dev ${device}`,
    `link set dev ${device} up`,
    `route replace default via ${tunnel.outerAddress} dev ${device}`,
  ]
  await exec("ip", ["-n", netns, "-batch", "-"], { input: `${lines.join("\n")}\n` })
}

function outerRules({ tunnelTable: table, tunnelLink: link }: OvnPaths, tunnel: Tunnel): string {
  const port = ports[tunnel.type]
  const { address, innerAddress } = tunnel
  const from = `iifname "${link}"`
  const to = `oifname "${link}"`
  return `${[
    `add table inet ${table}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    "  chain incoming { type filter hook prerouting priority raw; policy accept;",
    `    ${from} notrack accept`,
    `    ip daddr ${address} udp dport ${port} ip daddr set ${innerAddress} notrack`,
    "  }",
    "  chain outgoing { type filter hook postrouting priority srcnat; policy accept;",
    `    ${from} ip saddr ${innerAddress} udp dport ${port} ip saddr set ${address}`,
    "  }",
    "  chain passing { type filter hook forward priority filter; policy accept;",
    `    ${from} meta l4proto != udp drop`,
    `    ${from} udp dport != ${port} drop`,
    `    ${to} meta l4proto != udp drop`,
    `    ${to} udp dport != ${port} drop`,
    "  }",
    "  chain staying { type filter hook input priority filter; policy accept;",
    `    ${from} drop`,
    "  }",
    "}",
  ].join("\n")}\n`
}
