// How far a saga has come, as its log says. Pure: the same log gives the same next thing to do, on any worker.
import type { AnySaga, AnyStep } from "./saga.ts"
import type { LogEvent } from "./store.ts"

/** The node of the log that stands for `onUnwound`. */
export const unwoundNode = "(unwound)"

export interface Progress {
  /** Outputs of the steps that are done, by name. */
  readonly out: Record<string, unknown>
  readonly seen: ReadonlySet<string>
  readonly record: (events: readonly LogEvent[]) => void
}

export function newProgress(events: readonly LogEvent[] = []): Progress {
  const out: Record<string, unknown> = {}
  const seen = new Set<string>()
  const record = (more: readonly LogEvent[]) => {
    for (const event of more) {
      seen.add(`${event.kind} ${event.node}`)
      if (event.kind === "do_done") out[event.node] = event.data ?? null
    }
  }
  record(events)
  return { out, seen, record }
}

export function hasLogged(progress: Progress, kind: LogEvent["kind"], node: string): boolean {
  return progress.seen.has(`${kind} ${node}`)
}

/** The first step that is not done; undefined when all are. */
export function nextStep(saga: AnySaga, progress: Progress): AnyStep | undefined {
  return saga.steps.find((step) => !hasLogged(progress, "do_done", step.name))
}

/**
 * The last step that was begun, has an undo, and is not undone; undefined when nothing is left to undo. `undone` is one
 * more that counts as undone.
 */
export function nextUndo(saga: AnySaga, progress: Progress, undone?: AnyStep): AnyStep | undefined {
  return saga.steps.findLast(
    (step) =>
      step.definition.undo !== undefined &&
      step !== undone &&
      (hasLogged(progress, "do_started", step.name) || hasLogged(progress, "do_done", step.name)) &&
      !hasLogged(progress, "undo_done", step.name),
  )
}
