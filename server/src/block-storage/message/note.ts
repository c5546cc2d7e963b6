import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { noValidBackend } from "../faults.ts"
import type { messageResources } from "./message.ts"

/** Cinder's numbers of what was tried. */
const actions = {
  create: "001",
  delete: "011",
  resize: "007",
  revert: "001",
  upload: "003",
  // It has no number for these: what they fail by is that there is no place.
  migrate: "001",
  retype: "001",
  manage: "001",
  reimage: "016",
  unmanage: "006",
  backup: "013",
  backup_delete: "014",
  restore: "015",
} as const
export type MessageAction = keyof typeof actions

/** And of what came in the way: no back end, and whatever the text says. */
const details = { noBackend: "003", unknown: "001" } as const

const keptMs = 30 * 24 * 3_600_000

export interface Failed {
  resourceType: (typeof messageResources)[number]
  resourceId: string
  projectId: string
  requestId: string
  action: MessageAction
  failure: SagaFailure
  /** For users. */
  text: string
}

export async function noteMessage({ clock }: Pick<Platform, "clock">, tx: Tx, failed: Failed): Promise<void> {
  const now = clock.now()
  const detail = failed.failure.code === noValidBackend.code ? details.noBackend : details.unknown
  await tx
    .insertInto("block_storage.message")
    .values({
      id: newUuid(),
      project_id: failed.projectId,
      resource_type: failed.resourceType,
      resource_id: failed.resourceId,
      event_id: `VOLUME_${failed.resourceType}_${actions[failed.action]}_${detail}`,
      text: failed.text,
      request_id: failed.requestId,
      created_at: now,
      expires_at: new Date(now.getTime() + keptMs),
    })
    .execute()
}
