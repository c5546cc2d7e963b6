// Real guests (tcg) with volumes, for tests that look at a volume from within.
import { existsSync } from "node:fs"
import { join } from "node:path"
import { eventually } from "../../platform/clock/clock.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { runDirectory } from "../hypervisor/qemu/run-directory.ts"
import { agentDirectories } from "../machine-store.ts"
import type { DiskSpec, VmSpec } from "../protocol.ts"
import { fileVolume, type QemuAgent, tinySpec } from "./qemu-agent.ts"
import { typeOnSerial } from "./tiny-guest.ts"

export interface Guest {
  serverId: string
  spec: VmSpec
}

export const guestFence = { generation: 1, fence: 1 }
let asked = 0

export class VolumeGuests {
  readonly #dataDir: string
  readonly #subject: () => QemuAgent
  readonly #backend: string
  #shared: Guest | undefined
  /** Volumes that the shared one has. */
  readonly #lent = new Set<string>()

  constructor(dataDir: string, subject: () => QemuAgent, backend = "file") {
    this.#backend = backend
    this.#dataDir = dataDir
    this.#subject = subject
  }

  get #agent() {
    return this.#subject().agent
  }

  dataOf(volumeId: string): string {
    return join(agentDirectories(this.#dataDir).volumes, this.#backend, volumeId, "volume.raw")
  }

  async makeVolume(sizeBytes?: number): Promise<DiskSpec> {
    const backend = this.#backend
    const disk = fileVolume(newUuid(), sizeBytes, backend)
    const volume = { volumeId: disk.name, backend, sizeBytes: disk.sizeBytes, fence: guestFence }
    await this.#agent.handle("volume.create", volume)
    return disk
  }

  /** Whose machine has it. */
  async holderOf(volumeId: string): Promise<string | null> {
    return (await this.#agent.handle("volume.inspect", { volumeId, backend: this.#backend })).serverId
  }

  /** One that is up since an earlier test, where a test does not need one of its own. It is never stopped. */
  async share(...disks: DiskSpec[]): Promise<Guest> {
    this.#shared ??= await this.boot()
    for (const disk of disks) await this.plug(this.#shared, disk)
    return this.#shared
  }

  async boot(disks: DiskSpec[] = [], properties: Record<string, string> = {}): Promise<Guest> {
    const guest = this.#describe(disks, properties)
    await this.ensure(guest)
    return guest
  }

  /** Its kernel runs, and is not up yet. */
  async start(disks: DiskSpec[]): Promise<Guest> {
    const guest = this.#describe(disks)
    await this.#agent.handle("vm.ensure", { spec: guest.spec, power: "running", fence: guestFence })
    return guest
  }

  #describe(disks: DiskSpec[], properties: Record<string, string> = {}): Guest {
    const serverId = newUuid()
    const tiny = tinySpec(serverId)
    return { serverId, spec: { ...tiny, disks: [...tiny.disks, ...disks], properties } }
  }

  async ensure({ serverId, spec }: Guest): Promise<void> {
    const before = (await this.log(serverId)).split("GUEST is up").length
    await this.#agent.handle("vm.ensure", { spec, power: "running", fence: guestFence })
    const isUp = async () => (await this.log(serverId)).split("GUEST is up").length > before
    await eventually("the guest to be up", isUp)
  }

  async log(serverId: string): Promise<string> {
    if (!existsSync(join(agentDirectories(this.#dataDir).vms, serverId))) return ""
    return (await this.#agent.handle("vm.console_log", { serverId, lines: null })).output
  }

  async type({ serverId }: Guest, line: string): Promise<void> {
    await typeOnSerial(runDirectory(agentDirectories(this.#dataDir).vms, serverId).serialSocket, line)
  }

  /** What the guest's shell prints for a command, which knows the volume's device as $d. */
  async tell(guest: Guest, volumeId: string, command: string): Promise<string> {
    const mark = `ask${++asked}`
    const serial = volumeId.slice(0, 20)
    const find = `until d=$(grep -l ${serial} /sys/block/*/serial); do sleep 0.2; done; d=\${d%/serial}; d=\${d##*/}`
    await this.type(guest, `${find}; ${command} > /answer; sync; echo "${mark}=$(cat /answer)="`)
    let log = ""
    const answered = async () => {
      log = (await this.log(guest.serverId)).replaceAll("\r", "")
      return new RegExp(`${mark}=([^$]*?)=`).exec(log)
    }
    try {
      const answer = await eventually(`the answer to ${command}`, answered)
      return (answer[1] ?? "").trim()
    } catch (error) {
      throw new Error(`${describeError(error)}; the guest said:\n${log.slice(-2_000)}`, { cause: error })
    }
  }

  async plug({ serverId }: Guest, disk: DiskSpec): Promise<void> {
    if (serverId === this.#shared?.serverId) this.#lent.add(disk.name)
    await this.#agent.handle("vm.plug_volume", { serverId, disk, fence: guestFence })
  }

  async unplug({ serverId }: Guest, { name: volumeId }: DiskSpec): Promise<void> {
    await this.#agent.handle("vm.unplug_volume", { serverId, volumeId, fence: guestFence })
    if (serverId === this.#shared?.serverId) this.#lent.delete(volumeId)
  }

  /** What a test leaves: the shared guest, without its volumes. */
  async clear(): Promise<void> {
    const shared = this.#shared
    if (!shared) return await this.destroyAll()
    for (const volumeId of this.#lent) {
      const { serverId } = shared
      await this.#agent.handle("vm.unplug_volume", { serverId, volumeId, fence: guestFence })
    }
    this.#lent.clear()
    await this.#destroy((serverId) => serverId !== shared.serverId)
  }

  async destroyAll(): Promise<void> {
    this.#shared = undefined
    this.#lent.clear()
    await this.#destroy(() => true)
  }

  async #destroy(isMeant: (serverId: string) => boolean): Promise<void> {
    for (const { serverId } of await this.#agent.handle("vm.list", {})) {
      if (!isMeant(serverId)) continue
      await this.#agent.handle("vm.destroy", { serverId, fence: { generation: 1_000, fence: 1 } })
    }
  }
}
