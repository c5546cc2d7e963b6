import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { quotaExceeded } from "../../quota/index.ts"
import { noValidBackend } from "../faults.ts"
import type { messageResources } from "./message.ts"

/** Cinder's numbers of what was tried, and of what is said of it when nothing more is known. */
type Numbers = readonly [action: string, detail: string]

const unknown = "001"
const actions = {
  create: ["008", "012"],
  // It has no numbers for these; so the first, and an unknown error.
  delete: ["001", unknown],
  revert: ["001", unknown],
  migrate: ["001", unknown],
  retype: ["001", unknown],
  manage: ["001", unknown],
  resize: ["007", "010"],
  upload: ["003", "004"],
  reimage: ["016", unknown],
  unmanage: ["006", unknown],
  backup: ["013", "020"],
  backup_delete: ["014", "025"],
  restore: ["015", "026"],
} as const satisfies Record<string, Numbers>
export type MessageAction = keyof typeof actions

const ofSnapshots: Partial<Record<MessageAction, Numbers>> = {
  create: ["009", "013"],
  delete: ["010", "016"],
}
const ofGroups: Partial<Record<MessageAction, Numbers>> = { create: ["001", unknown] }

/** What came in the way, where that is known, by the fault's code. */
const details: Readonly<Record<string, string>> = {
  [noValidBackend.code]: "003",
  [quotaExceeded.code]: "006",
  "agent.volume.too_small": "007",
}

function ownOf(resourceType: Failed["resourceType"]): Partial<Record<MessageAction, Numbers>> {
  if (resourceType === "VOLUME_SNAPSHOT") return ofSnapshots
  return resourceType === "GROUP" || resourceType === "GROUP_SNAPSHOT" ? ofGroups : {}
}

function eventIdOf({ resourceType, action, failure }: Pick<Failed, "resourceType" | "action" | "failure">) {
  const [number, detail] = ownOf(resourceType)[action] ?? actions[action]
  const known = details[failure.code]
  // Before any back end has heard of it: then it is the scheduling that failed.
  const isUnplaced = failure.code === noValidBackend.code && action === "create"
  return `VOLUME_${resourceType}_${isUnplaced ? "001" : number}_${known ?? detail}`
}

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
  await tx
    .insertInto("block_storage.message")
    .values({
      id: newUuid(),
      project_id: failed.projectId,
      resource_type: failed.resourceType,
      resource_id: failed.resourceId,
      event_id: eventIdOf(failed),
      text: failed.text,
      request_id: failed.requestId,
      created_at: now,
      expires_at: new Date(now.getTime() + keptMs),
    })
    .execute()
}
