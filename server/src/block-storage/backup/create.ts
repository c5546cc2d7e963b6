import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { findThing, insertThing, loadThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { enforceQuota, quotaExceeded } from "../../quota/index.ts"
import { checkOneHolder } from "../attachment/shared.ts"
import {
  backupInvalid,
  inputInvalid,
  snapshotInvalid,
  snapshotNotFound,
  volumeInvalid,
  volumeNotFound,
} from "../faults.ts"
import { checkMetadata } from "../metadata.ts"
import { blockStorageQuota } from "../quota/resources.ts"
import { type Snapshot, snapshotNoun } from "../snapshot/snapshot.ts"
import { claimSnapshot } from "../snapshot/store.ts"
import { everything, targetOf, viewerOf } from "../viewer.ts"
import { lockVolume } from "../volume/store.ts"
import { actorOf, claimVolume } from "../volume/task.ts"
import { type Volume, volumeNoun } from "../volume/volume.ts"
import { type Backup, backupNoun } from "./backup.ts"
import { type BackupSource, createBackupSaga } from "./create.saga.ts"
import { keepKey } from "./key.ts"
import { chainMost } from "./manifest.ts"
import { notifyBackup } from "./notification.ts"
import { lockBackup } from "./store.ts"

const nullableText = (maxLength: number) => Type.Union([Type.String({ maxLength }), Type.Null()])

export const createBackup = operation({
  name: "block_storage.backup.create",
  input: Type.Object({
    volumeId: Type.String(),
    /** Of that volume: its data instead of the volume's. */
    snapshotId: nullableText(255),
    name: nullableText(255),
    description: nullableText(255),
    container: nullableText(255),
    availabilityZone: nullableText(255),
    metadata: Type.Record(Type.String(), Type.String()),
    /** Only what differs from the volume's last backup. */
    isIncremental: Type.Boolean(),
    /** Also of a volume that a server has. */
    mayBeInUse: Type.Boolean(),
  }),
  faults: [
    ...[volumeNotFound, volumeInvalid, snapshotNotFound, snapshotInvalid, backupInvalid],
    ...[inputInvalid, quotaExceeded],
  ],
  load: (ctx, { volumeId }) => loadThing(ctx.db, volumeNoun, viewerOf(ctx), volumeId),
  rule: "backup:create",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, input, { projectId: ownerId }) => {
    const { volumeId, snapshotId } = input
    const projectId = ctx.caller.projectId ?? ownerId
    checkMetadata(input.metadata)
    checkZone(ctx, input.availabilityZone)
    const snapshot =
      snapshotId === null ? null : await findThing(ctx.db, snapshotNoun, viewerOf(ctx), snapshotId)
    if (snapshot === undefined) throw snapshotNotFound(snapshotId ?? "")
    if (snapshot && snapshot.volumeId !== volumeId)
      throw volumeInvalid(`Volume ${volumeId} does not match with snapshot.volume_id ${snapshot.volumeId}.`)
    return await transact(ctx.db, async (tx) => {
      const { volume, source } = snapshot
        ? await takeSnapshot(tx, snapshot)
        : await takeVolume(tx, volumeId, input.mayBeInUse)
      const now = ctx.clock.now()
      const dataAt = snapshot?.createdAt ?? now
      const sizeGib = snapshot?.sizeGib ?? volume.sizeGib
      const add = { backups: 1, backup_gigabytes: sizeGib }
      const parent = input.isIncremental ? await holdParent(tx, { volumeId, projectId, snapshot }) : null
      await enforceQuota(ctx, tx, blockStorageQuota, { projectId, add })
      const { metadata, imageMetadata, isBootable } = volume
      const made = await insertThing(tx, backupNoun, everything, {
        values: {
          id: newUuid(),
          project_id: projectId,
          user_id: ctx.caller.userId,
          name: input.name,
          description: input.description,
          volume_id: volumeId,
          snapshot_id: snapshotId,
          parent_id: parent?.id ?? null,
          size_gib: sizeGib,
          status: "creating",
          container: input.container || parent?.container || ctx.config.blockStorage.backup.container,
          availability_zone: ctx.config.blockStorage.availabilityZone,
          metadata: jsonb(input.metadata),
          volume_facts: jsonb({
            ...{ metadata, imageMetadata, isBootable },
            ...(volume.encryptionKeyId !== null && { isEncrypted: true as const }),
          }),
          data_at: dataAt,
          created_at: now,
        },
      })
      if (!made) throw new Error("the id of a new backup is taken")
      await keepKey(ctx, tx, made.id, volume)
      const actor = actorOf(ctx)
      await notifyBackup(ctx, tx, made, "create.start", actor)
      const params = { backupId: made.id, generation: made.generation, ...actor, source }
      await ctx.sagas.start(tx, createBackupSaga, params, { requestId: ctx.requestId, resourceId: made.id })
      return made
    })
  },
})

function checkZone(ctx: Ctx, zone: string | null): void {
  const { availabilityZone } = ctx.config.blockStorage
  if (zone === null || zone === availabilityZone) return
  throw inputInvalid(`Availability zone '${zone}' is invalid; the zone of backups is '${availabilityZone}'.`)
}

interface Taken {
  volume: Volume
  source: BackupSource
}

async function takeVolume(tx: Tx, volumeId: string, mayBeInUse: boolean): Promise<Taken> {
  const now = await lockVolume(tx, volumeId)
  if (!now) throw volumeNotFound(volumeId)
  if (now.host === null || now.backend === null) throw volumeInvalid(`Volume ${volumeId} has no data yet.`)
  if (!["available", "in-use"].includes(now.status))
    throw volumeInvalid(
      `Volume to be backed up must be available or in-use, but the current status is "${now.status}".`,
    )
  if (now.status === "in-use" && !mayBeInUse)
    throw volumeInvalid("Backing up an in-use volume must use the force flag.")
  const volume = await claimVolume(tx, volumeId, "backup")
  await checkOneHolder(tx, volume)
  return { volume, source: { kind: "volume", id: volumeId, generation: volume.generation } }
}

async function takeSnapshot(tx: Tx, { id, volumeId }: Snapshot): Promise<Taken> {
  const volume = await lockVolume(tx, volumeId)
  if (!volume) throw volumeNotFound(volumeId)
  // With another's generation nobody else works on it, so the volume is as its snapshot wants it.
  const snapshot = await claimSnapshot(tx, id, ["available"], "backing-up")
  return { volume, source: { kind: "snapshot", id, generation: snapshot.generation } }
}

/** The last backup of the volume's data before these; it stays until this transaction ends, and then it is a parent. */
async function holdParent(
  tx: Tx,
  of: { volumeId: string; projectId: string; snapshot: Snapshot | null },
): Promise<Backup> {
  const { volumeId, projectId, snapshot } = of
  const before = snapshot ? sql`and data_at < ${snapshot.createdAt}` : sql``
  const { rows } = await sql<{ id: string }>`select id from block_storage.backup
    where volume_id = ${volumeId} and project_id = ${projectId} and status in ('available', 'restoring')
      and data_id is not null ${before}
    order by data_at desc, created_at desc, id desc limit 1`.execute(tx)
  const parent = rows[0] && (await lockBackup(tx, rows[0].id))
  if (!parent) throw backupInvalid("No backups available to do an incremental backup.")
  if (!["available", "restoring"].includes(parent.status))
    throw backupInvalid("The parent backup must be available for incremental backup.")
  if ((await lengthOfChain(tx, parent.id)) >= chainMost)
    throw backupInvalid(`${chainMost} backups stand on one another already; make a full one.`)
  return parent
}

async function lengthOfChain(tx: Tx, id: string): Promise<number> {
  const { rows } = await sql<{ length: number }>`with recursive chain as (
      select parent_id, 1 as length from block_storage.backup where id = ${id}
      union all select b.parent_id, c.length + 1 from chain c join block_storage.backup b on b.id = c.parent_id
        where c.length < ${chainMost})
    select max(length)::int as length from chain`.execute(tx)
  return rows[0]?.length ?? 1
}
