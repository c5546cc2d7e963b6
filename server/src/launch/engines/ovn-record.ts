// What one cloud made of its host, in /run: for the next start, for tear-down, and for the engines, which ask it each
// time when they start. After a reboot it is gone, as is what it tells of.
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { netnsInode, netnsNames } from "../../agent/ports/netns.ts"
import { bootId } from "../../platform/exec/process.ts"
import { type DatapathType, type OvnPaths, ovnPaths } from "./ovn-paths.ts"

export type EncapType = "geneve" | "vxlan"

/** How the tunnels leave the cloud's namespace; see ovn-tunnel.ts. */
export interface Tunnel {
  /** The host's, which the other hosts send to. */
  address: string
  type: EncapType
  datapathType: DatapathType
  /** Of the link that bears the address. */
  mtu: number
  /** Addresses of the way out: its end on the host, and where the tunnels end inside. */
  outerAddress: string
  innerAddress: string
}

/** How QEMU gets to storage; see ovn-storage-link.ts. */
export interface StorageLink {
  outerAddress: string
  innerAddress: string
  /** IPv4 prefixes. */
  networks: readonly string[]
}

export interface HostRecord {
  bootId: string
  /** The cloud's namespace, and the one that Kumoi was started in. */
  netnsInode: number
  hostInode: number
  /** Contents of ip_forward before the first cloud; null when it was not touched. */
  forwardBefore: { ipv4: string | null; ipv6: string | null }
  tunnel: Tunnel | null
  storage: StorageLink | null
}

export function readRecord(path: string): HostRecord | undefined {
  try {
    const record: HostRecord = JSON.parse(readFileSync(path, "utf8"))
    // One of an earlier program says nothing of these.
    const { tunnel = null, storage = null } = record as Partial<HostRecord>
    return record.bootId === bootId() ? { ...record, tunnel, storage } : undefined
  } catch {
    return undefined
  }
}

export function writeRecord(path: string, record: HostRecord): void {
  writeFileSync(`${path}.tmp`, JSON.stringify(record), { mode: 0o600 })
  renameSync(`${path}.tmp`, path)
}

/**
 * Of the other clouds that are on this machine. One whose namespace is gone is not: somebody removed it by hand, and
 * the kernel gives the number of its host's namespace to another one.
 */
export function otherRecords(paths: OvnPaths): HostRecord[] {
  const found: HostRecord[] = []
  for (const name of readdirSync("/run")) {
    const id = /^kumoi-([0-9a-f]{8})$/.exec(name)?.[1]
    if (id === undefined || id === paths.id) continue
    const other = ovnPaths(id)
    const record = readRecord(other.recordFile)
    if (record && netnsNames(other.netns).some((at) => netnsInode(at) === record.netnsInode))
      found.push(record)
  }
  return found
}
