// Brings an image into the caches of the hosts that the queue has for this wish, some at a time. A host that is away or
// has no room goes without; its row goes too, so nothing waits for it.
import { sendToAgent } from "../../engine/agent-call.ts"
import { type Saga, type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import { inParallel } from "../../platform/clock/in-parallel.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { hasData } from "../image/image.ts"
import { findImage } from "../image/store.ts"
import { imageTicket } from "../local/ticket.ts"
import { dataOf } from "./data.ts"
import { type CacheWish, isQueued, queuedHosts, takeFromQueue } from "./queue.ts"

type Step = Pick<StepContext<CacheWish, object>, "ctx" | "params" | "fence" | "signal" | "transact" | "log">

/** Each of them reads all of the data. */
const hostsAtOnce = 4
const hostTimeoutMs = 3_600_000
const timeoutMs = 24 * 3_600_000

export const prefetchSaga: Saga<CacheWish> = saga<CacheWish>("image.cache.queue", 1)
  .step("prefetch", { do: prefetch, timeoutMs })
  .onUnwound(({ params }) => withLog((tx) => takeFromQueue(tx, params)))

async function prefetch(s: Step): Promise<{ failed: number }> {
  const { ctx, params, signal, transact, log } = s
  let failed = 0
  await inParallel(await queuedHosts(ctx.db, params), hostsAtOnce, async (host) => {
    // It may have been taken out meanwhile.
    if (!(await isQueued(ctx.db, params, host))) return
    try {
      await prefetchTo(s, host)
    } catch (error) {
      signal.throwIfAborted()
      failed++
      const facts = { host, imageId: params.imageId, err: describeError(error) }
      log.warn(facts, "an image did not come to the cache of a host")
    }
    await transact((tx) => takeFromQueue(tx, params, host))
  })
  return { failed }
}

async function prefetchTo({ ctx, params, fence, signal }: Step, host: string): Promise<void> {
  const { imageId, generation } = params
  const image = await findImage(ctx.db, imageId)
  if (!image || !hasData(image)) return
  const args = {
    ...{ imageId, ...dataOf(image), fence: { generation, fence } },
    ticket: imageTicket(ctx, { host, imageId, verb: "read" }, hostTimeoutMs),
  }
  await sendToAgent(ctx, host, "image.cache", args, { timeoutMs: hostTimeoutMs, signal })
}
