// A backup as a text that brings it back where the database does not know it any more. Whoever imports one is an
// administrator, and still nothing of it is believed that the store does not say itself.
import { createHash } from "node:crypto"
import { Type } from "typebox"
import type { Platform } from "../../platform/context/context.ts"
import { jsonb, transact } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { fits } from "../../platform/schema/compiled.ts"
import { mistakeIn } from "../../platform/schema/mistake.ts"
import { enforceQuota, quotaExceeded } from "../../quota/index.ts"
import { backupDamaged, backupInvalid, backupNotFound, inputInvalid } from "../faults.ts"
import { blockStorageQuota } from "../quota/resources.ts"
import { everything, targetOf } from "../viewer.ts"
import { actorOf } from "../volume/task.ts"
import { backupNoun } from "./backup.ts"
import { lockData } from "./data.ts"
import { readIndex, readStored } from "./fetch.ts"
import { importKey, recordKey } from "./key.ts"
import type { Manifest } from "./manifest.ts"
import { notifyBackup } from "./notification.ts"
import { objectStore } from "./object-store.ts"
import { visibleBackup } from "./read.ts"

const Uuid = Type.String({ format: "uuid" })
const text255 = Type.String({ maxLength: 255 })
const text = Type.Union([text255, Type.Null()])

/** Under Cinder's names; what it has besides is passed over. */
const BackupRecord = Type.Object({
  id: Uuid,
  display_name: text,
  display_description: text,
  volume_id: Uuid,
  size: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
  container: Type.String({ minLength: 1, maxLength: 255 }),
  object_count: Type.Integer({ minimum: 0 }),
  data_timestamp: Type.String({ format: "date-time" }),
  /** Of the data, in the store. */
  service_metadata: Uuid,
  /** SHA-256 of their manifest. */
  checksum: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  /** Of an encrypted volume's: for this cloud alone. */
  encryption: Type.Optional(
    Type.Object({
      sealed: Type.String({ maxLength: 1_024 }),
      provider: text255,
      control_location: Type.Union([Type.Literal("front-end"), Type.Literal("back-end")]),
      cipher: text,
      key_size: Type.Union([Type.Integer({ minimum: 1, maximum: 4_096 }), Type.Null()]),
      volume_type_id: Type.Union([Uuid, Type.Null()]),
    }),
  ),
})
type BackupRecord = Type.Static<typeof BackupRecord>

export interface ExportedBackup {
  service: string
  url: string
}

/** As Cinder has names of drivers. */
const serviceOf = (kind: string) => `cinder.backup.drivers.kumoi.${kind}`

const sum = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex")

export const exportBackup = operation({
  name: "block_storage.backup.export",
  input: Type.Object({ id: Type.String() }),
  faults: [backupNotFound, backupInvalid, backupDamaged],
  load: (ctx, { id }) => visibleBackup(ctx, id),
  rule: "backup:export-import",
  target: (_ctx, _input, backup) => targetOf(backup),
  run: async (ctx, _input, backup): Promise<ExportedBackup> => {
    const { id, container, dataId, status } = backup
    if (status !== "available") throw backupInvalid(`Backup status must be available and not ${status}.`)
    if (dataId === null) throw backupInvalid("it has no data.")
    const { bytes, manifest } = await readStored(ctx, { id: dataId, container })
    const encryption = await recordKey(ctx, { id, dataId })
    const record: BackupRecord = {
      id,
      display_name: backup.name,
      display_description: backup.description,
      volume_id: backup.volumeId,
      size: backup.sizeGib,
      container,
      object_count: manifest.objectCount,
      data_timestamp: manifest.dataAt,
      service_metadata: dataId,
      checksum: sum(bytes),
      ...(encryption && { encryption }),
    }
    await transact(ctx.db, (tx) => notifyBackup(ctx, tx, backup, "export.end", actorOf(ctx)))
    return exported(ctx, record)
  },
})

/** Of data that no backup is of any more, under an id of their own. */
export function recordOf(
  platform: Pick<Platform, "config">,
  { bytes, manifest }: { bytes: Buffer; manifest: Manifest },
): ExportedBackup {
  const record: BackupRecord = {
    id: manifest.dataId,
    display_name: null,
    display_description: null,
    volume_id: manifest.volumeId,
    size: manifest.sizeGib,
    container: manifest.chain.at(-1)?.container ?? "",
    object_count: manifest.objectCount,
    data_timestamp: manifest.dataAt,
    service_metadata: manifest.dataId,
    checksum: sum(bytes),
  }
  return exported(platform, record)
}

function exported(platform: Pick<Platform, "config">, record: BackupRecord): ExportedBackup {
  const service = serviceOf(objectStore(platform).kind)
  return { service, url: Buffer.from(JSON.stringify(record)).toString("base64") }
}

export const importBackup = operation({
  name: "block_storage.backup.import",
  input: Type.Object({ service: Type.String({ maxLength: 255 }), url: Type.String({ maxLength: 65_536 }) }),
  faults: [backupInvalid, backupDamaged, inputInvalid, quotaExceeded],
  rule: "backup:backup-import",
  run: async (ctx, { service, url }) => {
    const { projectId, userId } = ctx.caller
    if (!projectId) throw inputInvalid("a backup needs a project: use a token with project scope.")
    const known = serviceOf(objectStore(ctx).kind)
    if (service !== known) throw inputInvalid(`backup_service: backups of this cloud are of ${known}.`)
    const record = readRecord(url)
    const { id, container, service_metadata: dataId } = record
    const { bytes, manifest } = await readStored(ctx, { id: dataId, container })
    const isRight =
      sum(bytes) === record.checksum &&
      manifest.sizeGib === record.size &&
      manifest.volumeId === record.volume_id &&
      manifest.objectCount === record.object_count
    if (!isRight) throw backupInvalid("the record is not of the data in the store.")
    if ((manifest.volumeFacts.isEncrypted === true) !== (record.encryption !== undefined))
      throw backupInvalid(
        "its data are encrypted, and the record has no key of them, or they are not, and it has one.",
      )
    for (let part = 0; part < manifest.parts.length; part++) await readIndex(ctx, manifest, part)
    return await transact(ctx.db, async (tx) => {
      const before = manifest.chain.at(-2)
      const parent = before && (await parentOf(tx, before.id, projectId))
      if (before && !parent)
        throw backupInvalid(
          `import the backup first that it stands on, into this project: its service_metadata are ${before.id}.`,
        )
      // Of a database that was lost, or there by another backup of the same data.
      await tx
        .insertInto("block_storage.backup_data")
        .values({ id: dataId, container, is_whole: true, object_count: manifest.objectCount })
        .onConflict((on) => on.column("id").doNothing())
        .execute()
      const data = await lockData(tx, dataId)
      if (!data?.isWhole || data.isGoing || data.container !== container)
        throw backupInvalid("its data are not whole, or are being removed.")
      const add = { backups: 1, backup_gigabytes: manifest.sizeGib }
      await enforceQuota(ctx, tx, blockStorageQuota, { projectId, add })
      const now = ctx.clock.now()
      const made = await insertThing(tx, backupNoun, everything, {
        values: {
          id,
          project_id: projectId,
          user_id: userId,
          name: record.display_name,
          description: record.display_description,
          volume_id: manifest.volumeId,
          parent_id: parent?.id ?? null,
          data_id: dataId,
          size_gib: manifest.sizeGib,
          status: "available",
          container,
          availability_zone: ctx.config.blockStorage.availabilityZone,
          volume_facts: jsonb(manifest.volumeFacts),
          data_at: new Date(manifest.dataAt),
          created_at: now,
        },
      })
      if (!made) throw backupInvalid("Backup already exists in database.")
      if (record.encryption) await importKey(ctx, tx, { id, dataId }, record.encryption)
      await notifyBackup(ctx, tx, made, "import.end", actorOf(ctx))
      return made
    })
  },
})

function readRecord(url: string): BackupRecord {
  if (!/^[A-Za-z0-9+/\s]+(={1,2}\s*)?$/.test(url)) throw inputInvalid("backup_url: it is no base64.")
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(url, "base64").toString())
  } catch {
    throw inputInvalid("backup_url: it is no record of a backup.")
  }
  if (!fits(BackupRecord, parsed)) throw inputInvalid(`backup_url: ${mistakeIn(BackupRecord, parsed)}`)
  // The schema has just said so.
  const record = parsed as BackupRecord
  if (![record.id, record.service_metadata].every(isSmallUuid))
    throw inputInvalid("backup_url: ids are UUIDs in small letters.")
  return record
}

/** It becomes the name of an object. */
const isSmallUuid = (id: string) => isUuid(id) && id === id.toLowerCase()

async function parentOf(tx: Parameters<typeof lockData>[0], dataId: string, projectId: string) {
  return await tx
    .selectFrom("block_storage.backup")
    .select("id")
    .where("data_id", "=", dataId)
    .where("project_id", "=", projectId)
    .where("status", "in", ["available", "restoring"])
    .orderBy("created_at")
    .limit(1)
    .forUpdate()
    .executeTakeFirst()
}
