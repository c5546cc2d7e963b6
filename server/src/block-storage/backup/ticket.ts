// What a host shows when it brings data of a backup or fetches them: for one host, one backup's data, one direction and
// a while. Sealed, so that a host can neither make one nor change it.
import { openSealed, seal } from "../../identity/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { backupTicketRefused } from "../faults.ts"

export interface BackupTicket {
  host: string
  dataId: string
  verb: "read" | "write"
  /** Of what is written: as large as the command says, and no larger. */
  chunkBytes?: number
}

/** Told apart from whatever else is sealed under these keys. */
const purpose = "backup"

export function backupTicket(platform: Platform, ticket: BackupTicket, forMs: number): string {
  const expiresAt = platform.clock.now().getTime() + forMs
  return seal(platform, JSON.stringify({ ...ticket, purpose, expiresAt }))
}

/** Answers how large chunks may be that are written by it. */
export function checkBackupTicket(
  platform: Platform,
  asked: Omit<BackupTicket, "chunkBytes"> & { ticket: string },
): number {
  const { ticket, host, dataId, verb } = asked
  const opened = openSealed(platform, ticket)
  const found = opened === null ? undefined : parsed(opened)
  const isRight =
    found?.purpose === purpose &&
    found.host === host &&
    found.dataId === dataId &&
    found.verb === verb &&
    typeof found.expiresAt === "number" &&
    found.expiresAt > platform.clock.now().getTime()
  if (!isRight) throw backupTicketRefused(dataId)
  return typeof found.chunkBytes === "number" ? found.chunkBytes : 0
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
