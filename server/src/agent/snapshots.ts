// Copies of disks that wait to become images: snapshots/<imageId>.qcow2. Whoever asked for one asks for its upload,
// and then to discard it; what nobody asks for any more (the cloud lost its task, or the host was away when it was
// discarded) goes when it is old.
import { mkdirSync } from "node:fs"
import { readdir, rm, stat, utimes } from "node:fs/promises"
import { join } from "node:path"
import type { Clock } from "../platform/clock/clock.ts"
import type { Logger } from "../platform/log/log.ts"
import { agentSnapshotMissing } from "./faults.ts"
import type { ImageStore } from "./image-cache/image-store.ts"
import { MachineQueues } from "./machine-queue.ts"

/** Longer than the cloud tries to go on with a task whose host or image store does not answer. */
const keptMs = 24 * 3_600_000

export interface SnapshotsOptions {
  dir: string
  store: Pick<ImageStore, "store">
  clock: Clock
  log: Logger
  /** Ends uploads. */
  stop: AbortSignal
}

export class Snapshots {
  readonly #options: SnapshotsOptions
  /** By image: an upload takes long, and its machine must not wait for it. */
  readonly #queues = new MachineQueues()
  readonly #uploads = new Map<string, AbortController>()

  constructor(options: SnapshotsOptions) {
    this.#options = options
    mkdirSync(options.dir, { recursive: true, mode: 0o700 })
    options.stop.addEventListener("abort", () => {
      for (const imageId of this.#uploads.keys()) this.#endUpload(imageId, "the agent stops")
    })
  }

  /** `write` makes the file, whole or not at all. */
  async take(
    imageId: string,
    write: (path: string) => Promise<{ sizeBytes: number }>,
  ): Promise<{ sizeBytes: number }> {
    this.#endUpload(imageId, "the snapshot is taken anew")
    return await this.#queues.run(imageId, async () => {
      const path = this.#path(imageId)
      // Before there is another one: two may not find room.
      await rm(path, { force: true })
      return await write(path)
    })
  }

  /** The file stays: who asks did not see the end of it, perhaps, and asks again. */
  async upload(imageId: string, ticket: string, signal: AbortSignal): Promise<void> {
    await this.#queues.run(imageId, async () => {
      const { clock, stop, store } = this.#options
      const path = this.#path(imageId)
      const now = clock.now()
      await utimes(path, now, now).catch((error: unknown) => {
        throw Object.assign(agentSnapshotMissing(imageId), { cause: error })
      })
      const giveUp = new AbortController()
      const onAbort = () => giveUp.abort(signal.reason)
      this.#uploads.set(imageId, giveUp)
      signal.addEventListener("abort", onAbort, { once: true })
      try {
        for (const given of [signal, stop]) given.throwIfAborted()
        await store.store(imageId, ticket, path, { signal: giveUp.signal })
      } finally {
        signal.removeEventListener("abort", onAbort)
        this.#uploads.delete(imageId)
      }
    })
  }

  async discard(imageId: string): Promise<void> {
    this.#endUpload(imageId, "the snapshot is discarded")
    await this.#queues.run(imageId, () => rm(this.#path(imageId), { force: true }), { isOwn: true })
  }

  async removeOld(): Promise<void> {
    const { dir, log } = this.#options
    for (const name of await readdir(dir)) {
      const path = join(dir, name)
      const imageId = name.split(".")[0] ?? name
      const remove = async () => {
        if (!(await this.#isOld(path))) return
        await rm(path, { force: true })
        log.warn({ imageId }, "a snapshot that nobody fetched is removed")
      }
      await this.#queues.run(imageId, remove, { isOwn: true })
    }
  }

  async idle(): Promise<void> {
    await this.#queues.idle()
  }

  #endUpload(imageId: string, why: string): void {
    this.#uploads.get(imageId)?.abort(new Error(`the upload ends: ${why}`))
  }

  async #isOld(path: string): Promise<boolean> {
    const facts = await stat(path).catch(() => undefined)
    return facts !== undefined && this.#options.clock.now().getTime() - facts.mtimeMs > keptMs
  }

  #path(imageId: string): string {
    return join(this.#options.dir, `${imageId}.qcow2`)
  }
}
