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

  async boot(disks: DiskSpec[] = [], properties: Record<string, string> = {}): Promise<Guest> {
    const serverId = newUuid()
    const tiny = tinySpec(serverId)
    const spec = { ...tiny, disks: [...tiny.disks, ...disks], properties }
    await this.ensure({ serverId, spec })
    return { serverId, spec }
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
    await this.type(guest, `until grep -l ${serial} /sys/block/*/serial; do sleep 1; done`)
    await this.type(guest, `d=$(grep -l ${serial} /sys/block/*/serial | cut -d/ -f4)`)
    // In two: the shell breaks what it shows after 80 letters.
    await this.type(guest, `${command} \\`)
    await this.type(guest, " > /answer; sync")
    await this.type(guest, `echo "${mark}=$(cat /answer)="`)
    let log = ""
    const find = async () => {
      log = (await this.log(guest.serverId)).replaceAll("\r", "")
      return new RegExp(`${mark}=([^$]*?)=`).exec(log)
    }
    try {
      const answer = await eventually(`the answer to ${command}`, find)
      return (answer[1] ?? "").trim()
    } catch (error) {
      throw new Error(`${describeError(error)}; the guest said:\n${log.slice(-2_000)}`, { cause: error })
    }
  }

  async plug({ serverId }: Guest, disk: DiskSpec): Promise<void> {
    await this.#agent.handle("vm.plug_volume", { serverId, disk, fence: guestFence })
  }

  async unplug({ serverId }: Guest, { name: volumeId }: DiskSpec): Promise<void> {
    await this.#agent.handle("vm.unplug_volume", { serverId, volumeId, fence: guestFence })
  }

  async destroyAll(): Promise<void> {
    for (const { serverId } of await this.#agent.handle("vm.list", {})) {
      await this.#agent.handle("vm.destroy", { serverId, fence: { generation: 1_000, fence: 1 } })
    }
  }
}
