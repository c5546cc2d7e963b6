// Volumes that go from this host to another, or come from one, as images of their data (travelling-image.ts). At rest
// alone. What is half is made anew when it is asked for again.
import { rm } from "node:fs/promises"
import type { StreamDialer } from "../consoles.ts"
import type { AgentContext } from "../context.ts"
import { agentVolumeCopyBroken } from "../faults.ts"
import { inspectImage } from "../image-cache/inspect-image.ts"
import type { AgentCommands, VolumeFacts } from "../protocol.ts"
import { imageMostBytes, receiveFile, sendFile, travelIdleMs, withTravelFile } from "../travelling-image.ts"
import { checkVolumeId } from "./volume-id.ts"

type Args<C extends keyof AgentCommands> = AgentCommands[C]["args"]

export interface TravelCommandsOptions {
  context: AgentContext
  streams: StreamDialer
  /** For images on their way; emptied when the agent starts. */
  dir: string
  idleMs?: number
}

export class TravelCommands {
  readonly #options: TravelCommandsOptions

  constructor(options: TravelCommandsOptions) {
    this.#options = options
  }

  async send(args: Args<"volume.send">, signal: AbortSignal): Promise<Record<string, never>> {
    const { volumeId, backend, streamId, fence } = args
    const { context, streams } = this.#options
    const { volumes } = context
    const driver = volumes.driverOf(backend)
    return await volumes.hold([checkVolumeId(volumeId)], async () => {
      volumes.mustBeFree(volumeId)
      await volumes.acceptChange(volumeId, fence)
      await withTravelFile(this.#options.dir, volumeId, async (path) => {
        const take = {
          path,
          diskFormat: "qcow2",
          take: (copy: { copyStill: () => Promise<void> }) => copy.copyStill(),
        }
        await driver.copyOut(volumeId, take, signal)
        const stream = await streams.dial(streamId)
        await sendFile(stream, path, signal)
      })
      return {}
    })
  }

  async receive(args: Args<"volume.receive">, signal: AbortSignal): Promise<VolumeFacts> {
    const { volumeId, backend, sizeBytes, streamId, fence } = args
    const { context, streams } = this.#options
    const { volumes } = context
    volumes.driverOf(backend)
    return await volumes.hold([checkVolumeId(volumeId)], async () => {
      return await withTravelFile(this.#options.dir, volumeId, async (path) => {
        await receiveFile(await streams.dial(streamId), path, {
          broken: (why) => agentVolumeCopyBroken(volumeId, why),
          ...{ signal, idleMs: this.#options.idleMs ?? travelIdleMs },
          mostBytes: imageMostBytes(sizeBytes),
        })
        // The host that sent it may be somebody else's by now: what an image claims is not believed.
        const { virtualSizeBytes } = await inspectImage(volumeId, path, "qcow2")
        const image = { path, format: "qcow2" as const, virtualSizeBytes }
        const origin = { kind: "image" as const, open: async () => image }
        return await volumes.create({ volumeId, backend, sizeBytes, fence }, origin, signal)
      })
    })
  }

  async removeLeftovers(): Promise<void> {
    await rm(this.#options.dir, { recursive: true, force: true })
  }
}
