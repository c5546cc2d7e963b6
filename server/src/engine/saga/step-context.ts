// What a step, an undo or `onUnwound` works with. Whatever it writes asserts the fence in the same transaction, also
// what a function begins by itself that was only given `ctx` (ADR 20).
import { internalCaller } from "../../platform/auth/caller.ts"
import { makeCtx, type Platform } from "../../platform/context/context.ts"
import { guardedDatabase, transact } from "../../platform/db/database.ts"
import type { Logger } from "../../platform/log/log.ts"
import type { StepContext } from "./saga.ts"
import { holdsFence } from "./store.ts"

/** Another worker owns the saga: this run is over, and changes nothing more. */
export class LeaseLost extends Error {
  constructor() {
    super("another worker owns this saga now")
  }
}

export interface StepContextParts<P, O> {
  sagaId: string
  fence: number
  requestId: string
  params: P
  out: O
  signal: AbortSignal
  log: Logger
}

export function stepContext<P, O>(platform: Platform, parts: StepContextParts<P, O>): StepContext<P, O> {
  const { requestId, ...rest } = parts
  const db = guardedDatabase(platform.db, async (tx) => {
    if (!(await holdsFence(tx, parts.sagaId, parts.fence))) throw new LeaseLost()
  })
  const ctx = makeCtx(platform, internalCaller, requestId, platform.config.publicUrl)
  return { ...rest, ctx: Object.assign(ctx, { db }), transact: (run) => transact(db, run) }
}
