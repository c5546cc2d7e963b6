// The running cloud's side of `kumoi volume-backup`.
import {
  discardUnknownBackup,
  listUnknownBackups,
  type MissingData,
  type UnknownData,
} from "../block-storage/index.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"

export type VolumeBackupQuestion = { action: "unknown" } | { action: "discard"; id: string }
export type VolumeBackupAnswer = { data: UnknownData[]; missing: MissingData[] } | { discarded: string }

export async function answerVolumeBackup(platform: Platform, question: unknown): Promise<VolumeBackupAnswer> {
  // Looked at below.
  const { action, id } = (question ?? {}) as Record<string, unknown>
  if (action === "unknown") return await listUnknownBackups(platform)
  if (action === "discard" && typeof id === "string")
    return { discarded: (await discardUnknownBackup(platform, id)).id }
  throw new Fault("invalid", "cli.volume_backup_question", "That is no question about backups of volumes.")
}
