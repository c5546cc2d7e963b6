// The running cloud's side of `kumoi keys`.
import { type KeyFacts, listKeys, type RingName, type Rotation, rotateKeys } from "../identity/index.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"

export const ringWords = ["token", "receipt", "credential"] as const satisfies readonly RingName[]

export interface KeysQuestion {
  action: "list" | "rotate"
  /** Null: all of them, or those that rotate without a word about credentials. */
  ring: RingName | null
}

export type KeysAnswer = { keys: KeyFacts[] } | { rotations: Rotation[] }

const rotatedByDefault = ["token", "receipt"] as const

/** What the running cloud does with the question. */
export async function answerKeys(platform: Platform, question: unknown): Promise<KeysAnswer> {
  const { action, ring } = readQuestion(question)
  if (action === "list") {
    const known = await listKeys(platform)
    return { keys: known.filter((key) => ring === null || key.ring === ring) }
  }
  const rotations: Rotation[] = []
  for (const name of ring === null ? rotatedByDefault : [ring])
    rotations.push(await rotateKeys(platform, name))
  return { rotations }
}

function readQuestion(question: unknown): KeysQuestion {
  const { action, ring } = (question ?? {}) as Partial<KeysQuestion> // looked at below
  const isRing = ring === null || ringWords.some((word) => word === ring)
  if ((action === "list" || action === "rotate") && ring !== undefined && isRing) return { action, ring }
  throw new Fault("invalid", "cli.keys_question", "That is no question about keys.")
}
