// SQL of volumes. Every change of status is one compare-and-set.
import { sql } from "kysely"
import { jsonb, type Tx } from "../../platform/db/database.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { volumeSuperseded } from "../faults.ts"
import { taskRows } from "../task-row.ts"
import { everything } from "../viewer.ts"
import type { VolumeRule } from "./state.ts"
import { type MigrationStatus, type Volume, type VolumeStatus, volumeNoun } from "./volume.ts"

/** The volume as a statement gives it: `.returning(volumeFields).$castTo<Volume>()`. */
export const volumeFields = fieldsOf(volumeNoun, everything)

/** What a task may change. Undefined fields stay. */
export interface VolumeChanges {
  status?: VolumeStatus
  sizeGib?: number
  volumeTypeId?: string
  projectId?: string
  userId?: string
  place?: { host: string; backend: string } | null
  /** Where it is going, and of which type it is to be there, if of another one. */
  target?: { host: string; backend: string; typeId: string | null } | null
  migrationStatus?: MigrationStatus
  isBootable?: boolean
  isReadOnly?: boolean
  isMultiattach?: boolean
  imageMetadata?: Readonly<Record<string, string>> | null
  problem?: string | null
}

function columnsOf(c: VolumeChanges) {
  return {
    ...(c.status !== undefined && { status: c.status }),
    ...(c.sizeGib !== undefined && { size_gib: c.sizeGib }),
    ...(c.volumeTypeId !== undefined && { volume_type_id: c.volumeTypeId }),
    ...(c.projectId !== undefined && { project_id: c.projectId }),
    ...(c.userId !== undefined && { user_id: c.userId }),
    ...(c.place !== undefined && { host: c.place?.host ?? null, backend: c.place?.backend ?? null }),
    ...(c.target !== undefined && {
      target_host: c.target?.host ?? null,
      target_backend: c.target?.backend ?? null,
      target_type_id: c.target?.typeId ?? null,
    }),
    ...(c.migrationStatus !== undefined && { migration_status: c.migrationStatus }),
    ...(c.isBootable !== undefined && { is_bootable: c.isBootable }),
    ...(c.isReadOnly !== undefined && { is_read_only: c.isReadOnly }),
    ...(c.isMultiattach !== undefined && { is_multiattach: c.isMultiattach }),
    ...(c.imageMetadata !== undefined && {
      image_metadata: c.imageMetadata === null ? null : jsonb(c.imageMetadata),
    }),
    ...(c.problem !== undefined && { problem: c.problem }),
    updated_at: sql<Date>`now()`,
  }
}

export const volumeRows = taskRows({
  noun: volumeNoun,
  idOf: ({ volumeId }: { volumeId: string; generation: number }) => volumeId,
  columns: columnsOf,
  superseded: volumeSuperseded,
})

export const {
  select: selectVolume,
  lock: lockVolume,
  change: changeVolume,
  remove: removeVolume,
} = volumeRows

/**
 * Takes the volume for a task: only from the rule's statuses, with a new generation, and not while it is on its way to
 * another back end. Undefined: it is in none of them, or on its way.
 */
export async function takeVolume(
  tx: Tx,
  volumeId: string,
  rule: VolumeRule,
  changes: Omit<VolumeChanges, "status"> = {},
): Promise<Volume | undefined> {
  return await tx
    .updateTable("block_storage.volume")
    .set({
      ...columnsOf(changes),
      status: rule.to,
      previous_status: sql<string>`status`,
      generation: sql<number>`generation + 1`,
    })
    .where("id", "=", volumeId)
    .where("target_host", "is", null)
    .where(({ eb, or, and }) =>
      or([
        eb("status", "in", rule.from),
        ...(rule.fromShared
          ? [and([eb("is_multiattach", "=", true), eb("status", "in", rule.fromShared)])]
          : []),
      ]),
    )
    .returning(volumeFields)
    .$castTo<Volume>()
    .executeTakeFirst()
}

/** What it is to be after the task that it is in, which goes on. Undefined: it is in none of these. */
export async function noteStatusAfter(
  tx: Tx,
  volumeId: string,
  during: readonly VolumeStatus[],
  status: VolumeStatus,
): Promise<Volume | undefined> {
  return await tx
    .updateTable("block_storage.volume")
    .set({ previous_status: status, updated_at: sql<Date>`now()` })
    .where("id", "=", volumeId)
    .where("status", "in", during)
    .returning(volumeFields)
    .$castTo<Volume>()
    .executeTakeFirst()
}

/** Nobody has it any more, and it goes on to where it is going. Undefined: it is on no way. */
export async function noteReleasedOnTheWay(tx: Tx, volumeId: string): Promise<Volume | undefined> {
  return await tx
    .updateTable("block_storage.volume")
    .set({
      status: sql<string>`case when status in ('maintenance', 'retyping') then status else 'available' end`,
      previous_status: "available",
      updated_at: sql<Date>`now()`,
    })
    .where("id", "=", volumeId)
    .where("target_host", "is not", null)
    .returning(volumeFields)
    .$castTo<Volume>()
    .executeTakeFirst()
}

/**
 * Whatever it is in: takes it from any task, and says what it is. For administrators. One that is on its way to another
 * back end is not taken: nobody else knows where its data are.
 */
export async function setVolumeStatus(
  tx: Tx,
  volumeId: string,
  status: VolumeStatus,
): Promise<Volume | undefined> {
  return await tx
    .updateTable("block_storage.volume")
    .set({ status, generation: sql<number>`generation + 1`, updated_at: sql<Date>`now()` })
    .where("id", "=", volumeId)
    .where("target_host", "is", null)
    .returning(volumeFields)
    .$castTo<Volume>()
    .executeTakeFirst()
}
