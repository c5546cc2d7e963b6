// Takes an image, or all, out of the caches of the hosts that live. What machines of a host stand on stays there.
import { sendToAgent } from "../../engine/agent-call.ts"
import { type Saga, type StepContext, saga } from "../../engine/saga/saga.ts"
import { inParallel } from "../../platform/clock/in-parallel.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { cachedImageInUse } from "../faults.ts"
import { askHosts, type CachedData, dataKey, type HostContents, hostsAtOnce, imagesOf } from "./contents.ts"
import { liveCacheHosts } from "./hosts.ts"

interface Removal extends CachedData {
  imageId: string
}

export interface RemoveParams {
  /** Null: every image. */
  image: Removal | null
  generation: number
}

type Step = Pick<StepContext<RemoveParams, object>, "ctx" | "params" | "fence" | "signal" | "log">

const hostTimeoutMs = 10_000
const timeoutMs = 600_000

export const removeSaga: Saga<RemoveParams> = saga<RemoveParams>("image.cache.remove", 1).step("remove", {
  do: remove,
  timeoutMs,
})

async function remove(s: Step): Promise<{ kept: number }> {
  const { ctx, params } = s
  const removals = params.image ? await onAllHosts(ctx, params.image) : await whatIsThere(ctx)
  let kept = 0
  await inParallel([...removals], hostsAtOnce, async ([host, images]) => {
    for (const image of images) if (await isKept(s, host, image)) kept++
  })
  if (params.image && kept > 0) throw cachedImageInUse(params.image.imageId, kept)
  return { kept }
}

async function onAllHosts(ctx: Step["ctx"], image: Removal): Promise<Map<string, Removal[]>> {
  return new Map((await liveCacheHosts(ctx)).map((host) => [host, [image]]))
}

/** Data that no image has any more go by themselves, when there is need of room. */
async function whatIsThere(ctx: Step["ctx"]): Promise<Map<string, Removal[]>> {
  const byHost = new Map<string, HostContents>()
  await askHosts(ctx, (host, contents) => byHost.set(host, contents))
  const images = await imagesOf(ctx.db, distinct([...byHost.values()].flat()))
  const removals = new Map<string, Removal[]>()
  for (const [host, contents] of byHost) {
    const here = contents.flatMap(({ checksum, diskFormat }) => {
      const [imageId] = images.get(dataKey({ checksum, diskFormat })) ?? []
      return imageId === undefined ? [] : [{ imageId, checksum, diskFormat }]
    })
    removals.set(host, here)
  }
  return removals
}

export function distinct(data: readonly CachedData[]): CachedData[] {
  return [...new Map(data.map((each) => [dataKey(each), each])).values()]
}

async function isKept({ ctx, params, fence, signal, log }: Step, host: string, image: Removal) {
  const args = { ...image, fence: { generation: params.generation, fence } }
  try {
    const { end } = await sendToAgent(ctx, host, "image.uncache", args, { timeoutMs: hostTimeoutMs, signal })
    return end === "in_use"
  } catch (error) {
    signal.throwIfAborted()
    log.warn({ host, ...image, err: describeError(error) }, "an image may be in the cache of a host still")
    return false
  }
}
