// `kumoi host drain`, `kumoi host evacuate` and `kumoi server move`, as commands.
import { setTimeout as delay } from "node:timers/promises"
import { Fault } from "../platform/fault/fault.ts"
import { awayText } from "./ask.ts"
import { askCloud } from "./control.ts"
import type { MoveAnswers } from "./move-answer.ts"
import {
  type Drain,
  drainHost,
  type Evacuate,
  evacuateHost,
  type MoveEvent,
  type MoveOne,
  type MoveParts,
  moveOne,
} from "./move-loop.ts"
import { renderMoveEvent } from "./move-render.ts"
import { dataDirOf, type ParsedOptions } from "./options.ts"

const answerTimeoutMs = 60_000
const betweenLooksMs = 500
/** As a shell says it of SIGINT. */
const brokenOffCode = 130

export async function drain(options: ParsedOptions, how: Drain): Promise<number> {
  return await withParts(options, (parts) => drainHost(parts, how))
}

export async function evacuate(options: ParsedOptions, how: Evacuate): Promise<number> {
  return await withParts(options, (parts) => evacuateHost(parts, how))
}

export async function move(options: ParsedOptions, how: MoveOne): Promise<number> {
  return await withParts(options, (parts) => moveOne(parts, how))
}

async function withParts(
  options: ParsedOptions,
  work: (parts: MoveParts) => Promise<boolean>,
): Promise<number> {
  const dataDir = dataDirOf(options)
  const { promise: brokenOff, resolve: breakOff } = Promise.withResolvers<number>()
  const onSignal = () => {
    process.stderr.write(
      "kumoi: broken off. What has begun goes on; say it again to bring the rest to an end.\n",
    )
    breakOff(brokenOffCode)
  }
  process.once("SIGINT", onSignal)
  try {
    const parts: MoveParts = {
      ask: async (action, question) => {
        const answer = await askCloud(dataDir, "/move", { action, ...question }, answerTimeoutMs)
        if (answer === null) throw new Fault("precondition", "cli.not_running", awayText(dataDir))
        // What answerMove answers to this action.
        return answer as MoveAnswers[typeof action]
      },
      tell: (event: MoveEvent) => {
        process.stdout.write(options.flag("json") ? `${JSON.stringify(event)}\n` : renderMoveEvent(event))
      },
      pause: () => delay(betweenLooksMs),
      nowMs: () => Math.round(performance.now()),
    }
    return await Promise.race([brokenOff, work(parts).then((isDone) => (isDone ? 0 : 1))])
  } finally {
    process.off("SIGINT", onSignal)
  }
}
