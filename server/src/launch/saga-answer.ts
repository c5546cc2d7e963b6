// The running cloud's side of `kumoi saga`.
import {
  listTroubledSagas,
  readSagaHistory,
  resumeStuckSaga,
  type SagaHistory,
  type TroubledSaga,
} from "../engine/saga/store.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault, fault } from "../platform/fault/fault.ts"
import { isUuid } from "../platform/ids/ids.ts"

export type SagaQuestion = { action: "list" } | { action: "describe" | "resume"; id: string }
export type SagaAnswer = { sagas: TroubledSaga[] } | { saga: SagaHistory } | { resumed: string }

/** More than that have one cause. */
const listedMost = 100

const sagaMissing = fault("not_found", "engine.saga.not_found", (id: string) => `There is no saga ${id}.`)
const sagaNotStuck = fault(
  "conflict",
  "engine.saga.not_stuck",
  (id: string, state: string) =>
    `The saga ${id} is ${state}, not stuck: ${state === "running" || state === "unwinding" ? "it goes on by itself" : "it is over"}.`,
)

export async function answerSaga(platform: Platform, question: unknown): Promise<SagaAnswer> {
  // Looked at below.
  const { action, id } = (question ?? {}) as Record<string, unknown>
  if (action === "list") return { sagas: await listTroubledSagas(platform.db, listedMost) }
  if ((action === "describe" || action === "resume") && typeof id === "string") {
    const saga = isUuid(id) ? await readSagaHistory(platform.db, id) : undefined
    if (!saga) throw sagaMissing(id)
    if (action === "describe") return { saga }
    if (!(await resumeStuckSaga(platform.db, id))) throw sagaNotStuck(id, saga.state)
    return { resumed: id }
  }
  throw new Fault("invalid", "cli.saga_question", "That is no question about sagas.")
}
