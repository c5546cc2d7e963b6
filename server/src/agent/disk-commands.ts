// Disks of machines that go to another host, or come from one, as images of their data (travelling-image.ts). The
// machine is off at both ends, and stays so. Called from the machine's queue only, after the fence was accepted.
import { rm } from "node:fs/promises"
import type { StreamDialer } from "./consoles.ts"
import { type AgentContext, existing, handleOf } from "./context.ts"
import {
  agentAbilityMissing,
  agentDiskCopyBroken,
  agentDiskMissing,
  agentMachineStateWrong,
} from "./faults.ts"
import { canReceiveDisks, canSnapshot, type VmHandle } from "./hypervisor/hypervisor.ts"
import { inspectImage } from "./image-cache/inspect-image.ts"
import type { AgentCommands, DiskSpec } from "./protocol.ts"
import { imageMostBytes, receiveFile, sendFile, travelIdleMs, withTravelFile } from "./travelling-image.ts"

/** As the disk of what a machine's TPM holds, which is a file of its own kind and small. */
const tpmName = "tpm"
const tpmMostBytes = 4 * 1024 ** 2

type Args<C extends keyof AgentCommands> = AgentCommands[C]["args"]

export interface DiskCommandsOptions {
  context: AgentContext
  streams: StreamDialer
  /** For images on their way; emptied when the agent starts. */
  dir: string
  idleMs?: number
}

export class DiskCommands {
  readonly #options: DiskCommandsOptions

  constructor(options: DiskCommandsOptions) {
    this.#options = options
  }

  async send(
    { serverId, disk, streamId }: Args<"vm.send_disk">,
    signal: AbortSignal,
  ): Promise<Record<string, never>> {
    const { context, streams, dir } = this.#options
    const { hypervisor } = context
    const { handle } = await this.#resting(serverId, disk, "send a disk of")
    if (!canSnapshot(hypervisor) || !canReceiveDisks(hypervisor))
      throw agentAbilityMissing(hypervisor.name, "send a disk")
    await withTravelFile(dir, serverId, async (path) => {
      if (disk === tpmName) await hypervisor.sendTpm(handle, path)
      else await hypervisor.snapshot(handle, disk, path)
      await sendFile(await streams.dial(streamId), path, signal)
    })
    return {}
  }

  async receive(
    { serverId, disk, streamId }: Args<"vm.receive_disk">,
    signal: AbortSignal,
  ): Promise<Record<string, never>> {
    const { context, streams, dir } = this.#options
    const { hypervisor } = context
    const { handle, mostBytes } = await this.#resting(serverId, disk, "receive a disk of")
    if (!canReceiveDisks(hypervisor)) throw agentAbilityMissing(hypervisor.name, "receive a disk")
    const broken = (why: string) => agentDiskCopyBroken(serverId, disk, why)
    await withTravelFile(dir, serverId, async (path) => {
      const idleMs = this.#options.idleMs ?? travelIdleMs
      await receiveFile(await streams.dial(streamId), path, { broken, mostBytes, idleMs, signal })
      if (disk === tpmName) return await hypervisor.receiveTpm(handle, path)
      // The host that sent it may be somebody else's by now: what an image claims is not believed.
      const { virtualSizeBytes } = await inspectImage(serverId, path, "qcow2")
      await hypervisor.receiveDisk(handle, disk, { path, format: "qcow2", virtualSizeBytes })
    })
    return {}
  }

  async removeLeftovers(): Promise<void> {
    await rm(this.#options.dir, { recursive: true, force: true })
  }

  async #resting(
    serverId: string,
    name: DiskSpec["name"],
    what: string,
  ): Promise<{ handle: VmHandle; mostBytes: number }> {
    const { context } = this.#options
    const record = existing(context, serverId)
    const { disks, hardware } = record.spec
    const disk = disks.find((one) => one.name === name && one.source.kind !== "volume")
    const isTpm = name === tpmName && hardware?.tpm !== undefined
    if (!disk && !isTpm) throw agentDiskMissing(serverId, name)
    const handle = handleOf(context, serverId, record)
    const { power } = await context.hypervisor.inspect(handle)
    if (power !== "shutdown" && power !== "crashed") throw agentMachineStateWrong(what, power)
    return { handle, mostBytes: disk ? imageMostBytes(disk.sizeBytes) : tpmMostBytes }
  }
}
