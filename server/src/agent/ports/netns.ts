// Named network namespaces that survive us.
//
// `ip netns` names a namespace by a mount on /run/netns/NAME, and mounts belong to a mount namespace. When Kumoi
// itself is started by `ip netns exec`, it is in a mount namespace of its own: the name that it makes is an
// empty file to everybody else, also to the next `ip netns exec … kumoi`. (Measured on Linux 6.18, iproute2 6.1.)
// So the inode of the namespace is recorded, and where the mount is missing it is made again from a process that
// still lives in the namespace (an engine, a guest). Without such a process nothing of it is left to be kept.
import { existsSync, mkdirSync, readdirSync, readlinkSync, statfsSync, statSync } from "node:fs"
import { join } from "node:path"
import { exec } from "../../platform/exec/exec.ts"
import { endProcess, identifyProcess, type ProcessIdentity } from "../../platform/exec/process.ts"

export const netnsDir = "/run/netns"
const nsfsMagic = 0x6e736673

/** Inode of the namespace that the name stands for here; undefined when the name or its mount is missing. */
export function netnsInode(name: string): number | undefined {
  const path = join(netnsDir, name)
  try {
    return statfsSync(path).type === nsfsMagic ? statSync(path).ino : undefined
  } catch {
    return undefined
  }
}

/** Inode of the namespace that this process is in. */
export function ownNetnsInode(): number {
  return statSync("/proc/self/ns/net").ino
}

/** Makes the name stand for the namespace with that inode if it still lives, else for a new one. */
export async function ensureNetns(name: string, recordedInode: number | undefined): Promise<number> {
  const present = netnsInode(name)
  if (present !== undefined) return present
  const holder = recordedInode === undefined ? undefined : netnsProcesses([recordedInode])[0]
  if (holder) {
    const path = join(netnsDir, name)
    if (!existsSync(path)) await exec("touch", [path])
    await exec("mount", ["--bind", `/proc/${holder.pid}/ns/net`, path])
  } else {
    if (existsSync(join(netnsDir, name))) await removeNetns(name)
    mkdirSync(netnsDir, { recursive: true })
    await exec("ip", ["netns", "add", name])
    await exec("ip", ["-n", name, "link", "set", "lo", "up"])
  }
  const made = netnsInode(name)
  if (made === undefined) throw new Error(`the network namespace ${name} was made but cannot be seen`)
  return made
}

/** Succeeds when already gone, and when only the empty file of a lost mount is left. */
export async function removeNetns(name: string): Promise<void> {
  if (!existsSync(join(netnsDir, name))) return
  await exec("ip", ["netns", "delete", name])
}

export function netnsNames(prefix: string): string[] {
  try {
    return readdirSync(netnsDir).filter((name) => name.startsWith(prefix))
  } catch {
    return []
  }
}

/** The processes that are in one of these namespaces, but never this process itself. */
export function netnsProcesses(inodes: readonly number[]): ProcessIdentity[] {
  const wanted = new Set(inodes.map((inode) => `net:[${inode}]`))
  const found: ProcessIdentity[] = []
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    try {
      if (!wanted.has(readlinkSync(`/proc/${pid}/ns/net`))) continue
    } catch {
      continue
    }
    const identity = identifyProcess(pid)
    if (identity) found.push(identity)
  }
  return found
}

/** Ends everything that runs in these namespaces. Never called with the namespace that this process is in. */
export async function endNetnsProcesses(inodes: readonly number[]): Promise<number> {
  const foreign = inodes.filter((inode) => inode !== ownNetnsInode())
  const processes = netnsProcesses(foreign)
  await Promise.all(processes.map((identity) => endProcess(identity, { graceMs: 5_000 })))
  return processes.length
}

/** Prefix that runs a program inside the namespace; the pid stays the same (nsenter replaces itself). */
export function enterNetns(netnsFile: string): string[] {
  return ["/usr/bin/nsenter", `--net=${netnsFile}`, "--"]
}
