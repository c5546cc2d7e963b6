// Volumes that go from this host to another, or come from one: an image of the data, by a stream that the cloud joins.
//
//   8 bytes    how many follow
//   …          the image (qcow2): holes cost nothing
//   32 bytes   its SHA-256
//
// At rest alone. What is half is made anew when it is asked for again.
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, open, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { pipeline } from "node:stream/promises"
import { newUuid } from "../../platform/ids/ids.ts"
import type { StreamDialer } from "../consoles.ts"
import type { AgentContext } from "../context.ts"
import { agentVolumeCopyBroken } from "../faults.ts"
import { inspectImage } from "../image-cache/inspect-image.ts"
import type { AgentCommands, VolumeFacts } from "../protocol.ts"
import { checkVolumeId } from "./volume-id.ts"

type Args<C extends keyof AgentCommands> = AgentCommands[C]["args"]

export interface TravelCommandsOptions {
  context: AgentContext
  streams: StreamDialer
  /** For images on their way; emptied when the agent starts. */
  dir: string
  idleMs?: number
}

const lengthBytes = 8
const sumBytes = 32
/** The other end makes the image first, which takes as long as a copy does. */
const defaultIdleMs = 2 * 3_600_000
/** What an image has beside the data: its tables, and the last cluster's rest. */
const mostOver = { part: 1 / 64, bytes: 16 * 1024 ** 2 }

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
      await volumes.acceptMove(volumeId, fence)
      await this.#withFile(volumeId, async (path) => {
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
      return await this.#withFile(volumeId, async (path) => {
        await receiveFile(await streams.dial(streamId), path, {
          ...{ volumeId, signal, idleMs: this.#options.idleMs ?? defaultIdleMs },
          mostBytes: Math.ceil(sizeBytes * (1 + mostOver.part)) + mostOver.bytes,
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

  async #withFile<T>(volumeId: string, task: (path: string) => Promise<T>): Promise<T> {
    const { dir } = this.#options
    await mkdir(dir, { recursive: true, mode: 0o711 })
    const path = join(dir, `${volumeId}.${newUuid()}`)
    try {
      return await task(path)
    } finally {
      await rm(path, { force: true })
    }
  }
}

async function sendFile(stream: Duplex, path: string, signal: AbortSignal): Promise<void> {
  const { size } = await stat(path)
  const hash = createHash("sha256")
  const length = Buffer.alloc(lengthBytes)
  length.writeBigUInt64BE(BigInt(size))
  const all = async function* () {
    yield length
    for await (const chunk of createReadStream(path)) {
      hash.update(chunk)
      yield chunk
    }
    yield hash.digest()
  }
  // Told by the pipeline; what comes after the last byte is nobody's.
  stream.on("error", () => {})
  // The other end says nothing, and closes when it has all of it.
  stream.resume()
  await pipeline(all, stream, { signal })
}

interface Incoming {
  volumeId: string
  mostBytes: number
  idleMs: number
  signal: AbortSignal
}

async function receiveFile(
  stream: Duplex,
  path: string,
  { volumeId, mostBytes, idleMs, signal }: Incoming,
): Promise<void> {
  // Told by whoever reads it, who may not have begun.
  stream.on("error", () => {})
  const hash = createHash("sha256")
  const end = () => stream.destroy(new Error("nobody waits for it any more"))
  const idle = setTimeout(() => stream.destroy(new Error(`it brought nothing for ${idleMs} ms`)), idleMs)
  signal.addEventListener("abort", end, { once: true })
  if (signal.aborted) end()
  let head = Buffer.alloc(0)
  let left: number | null = null
  let sum = Buffer.alloc(0)
  try {
    await using file = await open(path, "wx", 0o600)
    for await (const got of stream as AsyncIterable<Buffer>) {
      idle.refresh()
      let chunk = got
      if (left === null) {
        head = Buffer.concat([head, chunk])
        if (head.length < lengthBytes) continue
        left = Number(head.readBigUInt64BE())
        if (left > mostBytes) throw agentVolumeCopyBroken(volumeId, `it is an image of ${left} bytes`)
        chunk = head.subarray(lengthBytes)
      }
      const data = chunk.subarray(0, left)
      await file.writeFile(data)
      hash.update(data)
      left -= data.length
      sum = Buffer.concat([sum, chunk.subarray(data.length)]).subarray(0, sumBytes)
      if (left === 0 && sum.length === sumBytes) break
    }
    await file.sync()
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error
  } finally {
    clearTimeout(idle)
    signal.removeEventListener("abort", end)
    stream.destroy()
  }
  if (left !== 0 || sum.length < sumBytes) throw agentVolumeCopyBroken(volumeId, "it ended in its middle")
  if (!hash.digest().equals(sum)) throw agentVolumeCopyBroken(volumeId, "its checksum is another")
}
