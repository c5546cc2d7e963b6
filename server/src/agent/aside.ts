// Machines that are kept out of the way: of servers that no row knows, and of servers that were deleted while the
// host had not yet agreed with a restored database. Nothing here is removed but by an operator's word.
//
//   vms/ID/aside.json          written first: from now on the machine is to go aside, also after a crash
//   lost+found/ENTRY/          then the whole directory, disks and all; ENTRY is ID, or ID.2 when that is taken
import { readdirSync } from "node:fs"
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { isUuid } from "../platform/ids/ids.ts"
import type { MachineRecord } from "./machine-store.ts"
import type { AsideMachine, PowerState } from "./protocol.ts"
import { readStateFile, writeStateFile } from "./state-file.ts"

export interface AsideNote {
  serverId: string
  at: string
  why: string
  /** When it was set aside. */
  power: PowerState
}

const noteFile = "aside.json"

export class AsideStore {
  readonly #vmsDir: string
  readonly #directory: string
  /** By entry; their disks stand on images of the cache. */
  readonly #records = new Map<string, MachineRecord>()

  constructor(directories: { vms: string; lostAndFound: string }) {
    this.#vmsDir = directories.vms
    this.#directory = directories.lostAndFound
    for (const entry of this.entries()) this.#load(entry)
  }

  /** Before the tombstone is written, so that no start takes the files for remains of a destroyed machine. */
  async mark(note: AsideNote): Promise<void> {
    await writeStateFile(join(this.#vmsDir, note.serverId, noteFile), note)
  }

  isMarked(serverId: string): boolean {
    return readStateFile(join(this.#vmsDir, serverId, noteFile)) !== undefined
  }

  /** The machine does not run any more. Says under which name it lies now. */
  async move(serverId: string): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o711 })
    const taken = new Set(await readdir(this.#directory))
    let entry = serverId
    for (let n = 2; taken.has(entry); n++) entry = `${serverId}.${n}`
    await rename(join(this.#vmsDir, serverId), join(this.#directory, entry))
    this.#load(entry)
    return entry
  }

  /** False when it is there no more. */
  async moveBack(entry: string, serverId: string): Promise<boolean> {
    const from = join(this.#directory, checkEntry(entry))
    if (!(await stat(from).catch(() => undefined))) return false
    await rm(join(from, noteFile), { force: true })
    await rename(from, join(this.#vmsDir, serverId))
    this.#records.delete(entry)
    return true
  }

  entries(): string[] {
    try {
      return readdirSync(this.#directory).filter(isEntry)
    } catch {
      return []
    }
  }

  note(entry: string): AsideNote | undefined {
    // Written by `mark`.
    return readStateFile(join(this.#directory, checkEntry(entry), noteFile)) as AsideNote | undefined
  }

  record(entry: string): MachineRecord | undefined {
    return this.#records.get(entry)
  }

  records(): MachineRecord[] {
    return [...this.#records.values()]
  }

  async describe(entry: string): Promise<Omit<AsideMachine, "generation">> {
    const note = this.note(entry)
    return {
      entry,
      serverId: note?.serverId ?? serverIdOf(entry),
      power: note?.power ?? "shutdown",
      at: note?.at ?? "",
      why: note?.why ?? "",
      spec: this.#records.get(entry)?.spec ?? null,
      sizeBytes: await bytesBelow(join(this.#directory, entry)),
    }
  }

  async discard(entry: string): Promise<void> {
    await rm(join(this.#directory, checkEntry(entry)), { recursive: true, force: true })
    this.#records.delete(entry)
  }

  #load(entry: string): void {
    // Written by the store of machines.
    const record = readStateFile(join(this.#directory, entry, "machine.json")) as MachineRecord | undefined
    if (record) this.#records.set(entry, record)
  }
}

function isEntry(name: string): boolean {
  return isUuid(name.slice(0, 36)) && /^(\.\d{1,6})?$/.test(name.slice(36))
}

/** Entries become paths on this host. */
export function checkEntry(entry: string): string {
  if (!isEntry(entry)) throw new Error(`not the name of a machine that was set aside: ${entry}`)
  return entry
}

export function serverIdOf(entry: string): string {
  return entry.slice(0, 36)
}

/** What the files take on the disk; sparse ones count with what is written. */
export async function bytesBelow(directory: string): Promise<number> {
  let bytes = 0
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const facts = await stat(join(entry.parentPath, entry.name)).catch(() => undefined)
    bytes += (facts?.blocks ?? 0) * 512
  }
  return bytes
}
