// The running cloud's side of `kumoi image`.
import {
  discardLostFile,
  type LostFile,
  listLostFiles,
  listMissingFiles,
  type MissingFile,
} from "../image/index.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"

export type ImageQuestion = { action: "unknown" } | { action: "discard"; id: string }
export type ImageAnswer = { files: LostFile[]; missing: MissingFile[] } | { discarded: LostFile }

export async function answerImage(platform: Platform, question: unknown): Promise<ImageAnswer> {
  // Looked at below.
  const { action, id } = (question ?? {}) as Record<string, unknown>
  if (action === "unknown") {
    return { files: await listLostFiles(platform), missing: await listMissingFiles(platform) }
  }
  if (action === "discard" && typeof id === "string")
    return { discarded: await discardLostFile(platform, id) }
  throw new Fault("invalid", "cli.image_question", "That is no question about images.")
}
