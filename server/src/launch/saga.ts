// `kumoi saga`: work of the cloud that is stuck, or waits for what is away.
import { askRunning, type Sent, table } from "./ask.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"
import type { SagaAnswer, SagaQuestion } from "./saga-answer.ts"

const specs = { ...dataOption, json: { type: "boolean", help: "as JSON" } } as const satisfies OptionSpecs

const what = `Work that takes time is a saga: steps that are logged, repeated after a crash, and undone when one fails.

  list           those that are stuck, and those that wait for a host or an engine (default)
  describe ID    what one has done and undone, and why it failed
  resume ID ...  the undo of a stuck one is tried again, when its cause is mended`

const timeoutMs = 60_000

const about = { usage: "saga [list|describe|resume] [ID] [options]", what, specs, takesWords: true }

export const saga = command(about, async (options) => {
  const questions = questionsOf(options.positionals)
  if (!questions) {
    process.stderr.write("kumoi: use saga list, saga describe ID or saga resume ID ....\n")
    return 2
  }
  for (const question of questions) {
    const answer = await askRunning<Sent<SagaAnswer>>(dataDirOf(options), "/saga", question, timeoutMs)
    if (answer === null) return 3
    process.stdout.write(options.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : render(answer))
  }
  return 0
})

function questionsOf([action = "list", ...ids]: readonly string[]): SagaQuestion[] | null {
  const [id] = ids
  if (action === "list" && ids.length === 0) return [{ action }]
  if (action === "describe" && id !== undefined && ids.length === 1) return [{ action, id }]
  if (action === "resume" && ids.length > 0) return ids.map((each) => ({ action, id: each }))
  return null
}

function render(answer: Sent<SagaAnswer>): string {
  if ("resumed" in answer) return `${answer.resumed} goes on; its undo is tried again.\n`
  if ("saga" in answer) return renderHistory(answer.saga)
  if (answer.sagas.length === 0) return "No saga is stuck, and none waits.\n"
  const rows = answer.sagas.map((each) => [
    ...[each.id, each.name, each.resourceId ?? "-"],
    ...[each.waits > 0 ? `waits (${each.waits})` : each.state, each.since, each.lastError ?? "-"],
  ])
  return table(["ID", "WORK", "OF", "STATE", "SINCE", "WHY"], rows)
}

function renderHistory(saga: Sent<Extract<SagaAnswer, { saga: unknown }>["saga"]>): string {
  const facts = [
    ["work", saga.name],
    ["of", saga.resourceId ?? "-"],
    ["state", saga.waits > 0 ? `${saga.state}, waits (${saga.waits})` : saga.state],
    ["request", saga.requestId],
    ["since", saga.createdAt],
    ["failure", saga.failure ? `${saga.failure.step}: ${saga.failure.message}` : "-"],
    ["last error", saga.lastError ?? "-"],
  ]
  const rows = saga.events.map(({ at, node, kind }) => [at, node, kind])
  return `${table(["ID", saga.id], facts)}\n${table(["WHEN", "STEP", "WHAT"], rows)}`
}
