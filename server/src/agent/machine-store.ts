// What the agent was told of each machine, and what it last knew of it: vms/<serverId>/machine.json.
import { existsSync, readdirSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { isUuid } from "../platform/ids/ids.ts"
import type { VmHandle } from "./hypervisor/hypervisor.ts"
import type { VmSpec, VmState } from "./protocol.ts"
import { readStateFile, writeStateFile } from "./state-file.ts"

export interface MachineRecord {
  spec: VmSpec
  /** What was last asked for. */
  wanted: "running" | "shutdown" | "paused" | "suspended"
  /** Null until the hypervisor has made it once. */
  handle: VmHandle | null
  /** As last told to the cloud. */
  state: VmState
  /** It comes from another host, and nobody has said yet that it goes on here. */
  isArriving?: true
  /** As in the state that is told; until somebody starts or stops it. */
  cannotStart?: string
}

/** Where the agent keeps what; the drivers get their directories from here too. */
export function agentDirectories(dataDir: string) {
  const root = join(dataDir, "agent")
  return {
    root,
    vms: join(root, "vms"),
    images: join(root, "images"),
    imageFences: join(root, "image-fences"),
    fences: join(root, "fences"),
    /** Copies of disks on their way to the image store. */
    snapshots: join(root, "snapshots"),
    fake: join(root, "fake"),
    /** Copies of volumes on their way to the image store; none outlives the command that makes it. */
    volumeUploads: join(root, "volume-uploads"),
    /** Images of volumes on their way to another back end; as above. */
    volumeTravels: join(root, "volume-travels"),
    diskTravels: join(root, "disk-travels"),
    /** Each back end's own in a directory of its name. */
    volumes: join(root, "volumes"),
    volumeFences: join(root, "volume-fences"),
    /** Volumes on their way from one back end of this host to another. */
    volumeMoves: join(root, "volume-moves"),
    resumeMarker: join(root, "resume.json"),
    /** Machines that were set aside, each in a directory as below `vms`. */
    lostAndFound: join(root, "lost+found"),
    epoch: join(root, "epoch.json"),
    /** The networks whose guests are answered for their metadata. */
    metadata: join(root, "metadata.json"),
    hostState: join(root, "host.json"),
    accelerator: join(root, "accelerator.json"),
  }
}

export class MachineStore {
  readonly #vmsDir: string
  readonly #records = new Map<string, MachineRecord>()

  constructor(vmsDir: string) {
    this.#vmsDir = vmsDir
    for (const serverId of this.directories()) {
      const record = readStateFile(this.#path(serverId)) as MachineRecord | undefined
      if (record) this.#records.set(serverId, record)
    }
  }

  get root(): string {
    return this.#vmsDir
  }

  get(serverId: string): MachineRecord | undefined {
    return this.#records.get(serverId)
  }

  all(): MachineRecord[] {
    return [...this.#records.values()]
  }

  /** Also of machines without a record: leftovers of a crash. */
  directories(): string[] {
    try {
      return readdirSync(this.#vmsDir).filter((name) => isUuid(name))
    } catch {
      return []
    }
  }

  /** `isIntent`: about to be overwritten by the outcome; must outlive this process only. */
  async put(record: MachineRecord, options: { isIntent?: boolean } = {}): Promise<void> {
    const isDurable = !options.isIntent
    await writeStateFile(this.#path(record.spec.serverId), record, { isDurable })
    this.#records.set(record.spec.serverId, record)
  }

  /** For this process only. */
  remember(record: MachineRecord): void {
    this.#records.set(record.spec.serverId, record)
  }

  /** Its files lie elsewhere now. */
  forget(serverId: string): void {
    this.#records.delete(serverId)
  }

  /** Reads anew what lies there. */
  load(serverId: string): MachineRecord | undefined {
    const record = readStateFile(this.#path(serverId)) as MachineRecord | undefined
    if (record) this.#records.set(serverId, record)
    return record
  }

  hasDirectory(serverId: string): boolean {
    return existsSync(join(this.#vmsDir, serverId))
  }

  /** The record and whatever else is left in the machine's directory. */
  async remove(serverId: string): Promise<void> {
    await rm(join(this.#vmsDir, serverId), { recursive: true, force: true })
    this.#records.delete(serverId)
  }

  #path(serverId: string): string {
    return join(this.#vmsDir, serverId, "machine.json")
  }
}
