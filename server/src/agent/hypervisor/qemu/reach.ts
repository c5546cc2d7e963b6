// QEMU that has given up root opens files as the user that it has become, and the cloud's directory may lie below one
// that only root enters (/root). So it is started with the agent's directory open, and what it opens later it finds
// from there: the path above is not walked again.
import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { dirname, sep } from "node:path"
import type { QemuMachine } from "./machine.ts"

/** `vms` and the back ends of volumes lie in one directory of the agent's. */
export async function withReach(
  vmsDir: string,
  inherit: readonly number[],
  start: (inherit: readonly number[]) => Promise<void>,
): Promise<void> {
  const directory = openSync(dirname(vmsDir), constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    // Last: others say by number which is theirs.
    await start([...inherit, directory])
  } finally {
    closeSync(directory)
  }
}

/** As this process of QEMU reaches the file: by a directory that it has open, when it was started with one. */
export function reachedBy({ identity }: Pick<QemuMachine, "identity">, path: string): string {
  if (!identity) return path
  const open = `/proc/${identity.pid}/fd`
  for (const name of namesIn(open)) {
    const target = linkOf(`${open}/${name}`)
    if (target?.startsWith(sep) && path.startsWith(`${target}${sep}`))
      return `/proc/self/fd/${name}${path.slice(target.length)}`
  }
  return path
}

/** Whom it has become: not whom the next one becomes, when an earlier program has started it. Null: root still. */
export function userOf({ identity }: Pick<QemuMachine, "identity">): { uid: number; gid: number } | null {
  if (!identity) return null
  const status = textOf(`/proc/${identity.pid}/status`)
  const [uid, gid] = ["Uid", "Gid"].map((name) =>
    Number(new RegExp(`^${name}:\\s+\\d+\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0),
  )
  return uid && gid ? { uid, gid } : null
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    // It has ended meanwhile.
    return []
  }
}

export function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
