// The way of QEMU, which runs in the cloud's namespace, to storage that it reaches over the network itself (Ceph).
//
//   host: its networks of storage          namespace kumoi-ID
//   ks-ID 169.254.x.1/30  <== veth ==>     kq-ID 169.254.x.2/30, and a route for each of these networks
//   masquerade                             QEMU
//
// What QEMU opens to these networks passes, with the host's own address, and nothing else in either direction.
import { enterNetns } from "../../agent/ports/netns.ts"
import { exec } from "../../platform/exec/exec.ts"
import type { OvnPaths } from "./ovn-paths.ts"
import { freeTransferPrefix } from "./ovn-probe.ts"
import type { StorageLink } from "./ovn-record.ts"
import { ensureVeth } from "./ovn-veth.ts"

const mtu = 1500

/** Connections of guests outlive this process, so it keeps the addresses that it had. Changes nothing. */
export async function planStorageLink(
  paths: OvnPaths,
  networks: readonly string[],
  known: StorageLink | null,
): Promise<StorageLink> {
  const { outerAddress, innerAddress } = known ?? (await freeTransferPrefix(paths.id, paths.storageLink))
  return { outerAddress, innerAddress, networks }
}

/** May be repeated at any time; keeps what is right, repairs what is not. */
export async function ensureStorageLink(paths: OvnPaths, link: StorageLink): Promise<void> {
  const { storageLink: outer, storagePeer: inner, netns } = paths
  await ensureVeth(paths, { outer, inner, mtu, bridge: null })
  await exec("ip", ["address", "replace", `${link.outerAddress}/30`, "dev", outer])
  await exec("nft", ["-f", "-"], { input: outerRules(paths, link) })
  await exec("ip", ["-n", netns, "address", "replace", `${link.innerAddress}/30`, "dev", inner])
  const { stdout } = await exec("ip", ["-n", netns, "-j", "route", "show", "dev", inner, "proto", "static"])
  const routes = (JSON.parse(stdout || "[]") as { dst: string }[]).map(({ dst }) => dst) // by ip -j
  const lines = [
    ...routes.filter((dst) => !link.networks.includes(dst)).map((dst) => `route delete ${dst} dev ${inner}`),
    ...link.networks.map((dst) => `route replace ${dst} via ${link.outerAddress} dev ${inner} proto static`),
  ]
  await exec("ip", ["-n", netns, "-batch", "-"], { input: `${lines.join("\n")}\n` })
}

export async function removeStorageLink(paths: OvnPaths): Promise<void> {
  await exec("ip", ["link", "delete", paths.storageLink], { okCodes: [0, 1] })
  await exec("nft", ["delete", "table", "inet", paths.storageTable], { okCodes: [0, 1] }).catch(() => {})
}

/** What comes from a guest's device is dropped before the kernel's own stack, which has addresses now. */
export async function closeStack(paths: OvnPaths, devices: readonly string[]): Promise<void> {
  const [program = "", ...enter] = enterNetns(paths.netnsFile)
  await exec(program, [...enter, "nft", "-f", "-"], { input: innerRules(devices) })
}

function outerRules({ storageTable: table, storageLink: link }: OvnPaths, storage: StorageLink): string {
  const { innerAddress, networks } = storage
  const [from, to] = [`iifname "${link}"`, `oifname "${link}"`]
  const isWanted = `${from} ip saddr ${innerAddress} ip daddr { ${networks.join(", ")} }`
  return `${[
    `add table inet ${table}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    "  chain passing { type filter hook forward priority filter; policy accept;",
    `    ${isWanted} accept`,
    `    ${from} drop`,
    `    ${to} ct state established,related accept`,
    `    ${to} drop`,
    "  }",
    "  chain staying { type filter hook input priority filter; policy accept;",
    `    ${isWanted} accept`,
    `    ${from} ct state established,related accept`,
    `    ${from} drop`,
    "  }",
    "  chain leaving { type nat hook postrouting priority srcnat; policy accept;",
    `    ${from} ip saddr ${innerAddress} masquerade`,
    "  }",
    "}",
  ].join("\n")}\n`
}

function innerRules(devices: readonly string[]): string {
  const isOther = `iifname != { "lo", ${devices.map((device) => `"${device}"`).join(", ")} } drop`
  return `${[
    "add table inet kumoi_tunnel",
    "delete table inet kumoi_tunnel",
    "add table arp kumoi_tunnel",
    "delete table arp kumoi_tunnel",
    "table inet kumoi_tunnel {",
    `  chain incoming { type filter hook prerouting priority raw; policy accept;`,
    `    ${isOther}`,
    "  }",
    "}",
    "table arp kumoi_tunnel {",
    "  chain incoming { type filter hook input priority filter; policy accept;",
    `    ${isOther}`,
    "  }",
    "}",
  ].join("\n")}\n`
}
