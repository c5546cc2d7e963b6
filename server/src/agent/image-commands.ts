// What each image.* command does: images come into the cache of this host before anybody boots them, and go from it. A
// fence belongs to an image, so that a command that comes late neither brings one back nor takes one away.
import { type AgentContext, imagesInUse } from "./context.ts"
import { agentFenceStale } from "./faults.ts"
import { FenceStore } from "./fence-store.ts"
import { type CacheRemoval, imageKey, type Pruned } from "./image-cache/image-cache.ts"
import { type AgentCommands, cachedImagesMost, type Fence } from "./protocol.ts"

type Args<C extends "image.cache" | "image.uncache"> = AgentCommands[C]["args"]

export interface ImageCommandOptions {
  context: AgentContext
  /** Of the fences. */
  dir: string
  /** Throws for an id that is none, and for a command of a database that was replaced. */
  check(imageId: string, fence: Fence): void
}

export class ImageCommands {
  readonly #context: AgentContext
  readonly #fences: FenceStore
  readonly #check: ImageCommandOptions["check"]

  constructor({ context, dir, check }: ImageCommandOptions) {
    this.#context = context
    this.#fences = new FenceStore(dir, context.clock)
    this.#check = check
  }

  async cache({ fence, ...request }: Args<"image.cache">): Promise<Record<string, never>> {
    const { images } = this.#context
    this.#check(request.imageId, fence)
    await this.#fences.accept(request.imageId, fence, "ensure")
    await images.ensureImage(request, () => imagesInUse(this.#context))
    // Somebody took it away while it was on its way.
    if (!this.#fences.isDestroyed(request.imageId)) return {}
    await images.remove(request, () => imagesInUse(this.#context))
    throw agentFenceStale(request.imageId)
  }

  async uncache({ fence, ...request }: Args<"image.uncache">): Promise<{ end: CacheRemoval }> {
    const { images } = this.#context
    this.#check(request.imageId, fence)
    await this.#fences.accept(request.imageId, fence, "destroy")
    return { end: await images.remove(request, () => imagesInUse(this.#context)) }
  }

  list(): AgentCommands["image.cached"]["result"] {
    // The last used ones, when there are more than can be told.
    return this.#context.images.list().slice(-cachedImagesMost)
  }

  async prune({ data }: AgentCommands["image.prune"]["args"]): Promise<Pruned> {
    const { images } = this.#context
    const inUse = () => imagesInUse(this.#context)
    const sizes = new Map(images.list().map((each) => [imageKey(each), each.sizeBytes]))
    let [removed, removedBytes] = [0, 0]
    for (const each of data) {
      if ((await images.remove(each, inUse)) !== "removed") continue
      removed++
      removedBytes += sizes.get(imageKey(each)) ?? 0
    }
    const rest = await images.prune(inUse)
    return { removed: removed + rest.removed, removedBytes: removedBytes + rest.removedBytes }
  }

  async forgetOldFences(): Promise<void> {
    for (const imageId of await this.#fences.oldOnes()) await this.#fences.forgetAnyOld(imageId)
  }
}
