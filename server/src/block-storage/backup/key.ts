// Backups of encrypted volumes. What is in the store is the volume as its back end has it, LUKS with its header: nobody
// reads it without the key. That goes with the backup's row, sealed as the volume's is, and outlives the volume.
//
// A restore onto an encrypted volume brings other data, and so their key. The host exchanges the data at one moment,
// the row of the key follows with the row that says that the restore is over. Between the two the key is in doubt: a
// volume that is left there says error, and nobody may say that it is well.
import { openLasting, sealLasting } from "../../identity/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { backupInvalid, volumeInvalid, volumeKeyLost } from "../faults.ts"
import {
  isAlike,
  keyOfBackup,
  newKeyRow,
  passphraseOf,
  type StoredKey,
  selectKey,
} from "../volume/stored-key.ts"
import type { Volume } from "../volume/volume.ts"

/** Of a volume that is held: its data and key are those of the backup. False: it has none. */
export async function keepKey(
  platform: Platform,
  tx: Tx,
  backupId: string,
  { id, volumeTypeId }: Pick<Volume, "id" | "volumeTypeId">,
): Promise<boolean> {
  const key = await selectKey(tx, id)
  if (!key) return false
  const row = newKeyRow(platform, key, passphraseOf(platform, id, key))
  await insert(tx, { backup_id: backupId, ...row, volume_type_id: volumeTypeId })
  return true
}

type Row = { backup_id: string; volume_type_id: string | null } & ReturnType<typeof newKeyRow>

async function insert(tx: Tx, row: Row): Promise<void> {
  await tx.insertInto("block_storage.backup_key").values(row).execute()
}

/**
 * Of a volume that is claimed: whether the backup may replace its data. From now on its key is in doubt, if it is
 * another than the backup's. Throws `volumeInvalid`.
 */
export async function beginRestoringKey(
  platform: Platform,
  tx: Tx,
  backupId: string,
  { id: volumeId }: Pick<Volume, "id">,
): Promise<void> {
  const key = await selectKey(tx, volumeId)
  const brought = await keyOfBackup(tx, backupId)
  if (!key !== !brought)
    throw volumeInvalid(
      `Volume ${volumeId} is ${key ? "" : "not "}encrypted, and the data of backup ${backupId} are${key ? " not" : ""}: ` +
        "restore it to a new volume.",
    )
  if (!key || !brought) return
  if (!isAlike(key, brought))
    throw volumeInvalid(
      `Volume ${volumeId} and the data of backup ${backupId} are not encrypted in the same way: restore it to a new volume.`,
    )
  if (passphraseOf(platform, volumeId, key) === passphraseOf(platform, backupId, brought)) return
  const snapshot = await tx
    .selectFrom("block_storage.snapshot")
    .select("id")
    .where("volume_id", "=", volumeId)
    .limit(1)
    .executeTakeFirst()
  if (snapshot)
    throw volumeInvalid(
      `Volume ${volumeId} has snapshots, whose data have its key, and backup ${backupId} brings another: restore it to ` +
        "a new volume.",
    )
  await tx
    .updateTable("block_storage.volume_key")
    .set({ is_in_doubt: true })
    .where("volume_id", "=", volumeId)
    .execute()
}

/** With the end of the restore. Repeatable. */
export async function finishRestoringKey(
  platform: Platform,
  tx: Tx,
  backupId: string,
  volumeId: string,
): Promise<void> {
  if (!(await isKeyInDoubt(tx, volumeId))) return
  const brought = await keyOfBackup(tx, backupId)
  if (!brought) throw volumeKeyLost(volumeId)
  await tx
    .updateTable("block_storage.volume_key")
    .set({ ...newKeyRow(platform, brought, passphraseOf(platform, backupId, brought)), is_in_doubt: false })
    .where("volume_id", "=", volumeId)
    .execute()
}

async function isKeyInDoubt(db: DbOrTx, volumeId: string): Promise<boolean> {
  const found = await db
    .selectFrom("block_storage.volume_key")
    .select("id")
    .where("volume_id", "=", volumeId)
    .where("is_in_doubt", "=", true)
    .executeTakeFirst()
  return found !== undefined
}

/** Nobody may say that the volume is well as long as nobody knows which key its data have. */
export async function refuseKeyInDoubt(db: DbOrTx, volumeId: string): Promise<void> {
  if (await isKeyInDoubt(db, volumeId))
    throw volumeInvalid(
      `Volume ${volumeId} has data of which nobody knows the key: a backup with another key was being restored to it, or it ` +
        "was becoming encrypted or plain. Give it an image's data (os-reimage), or delete it.",
    )
}

/** The volume has data that were made with its own key. Repeatable. */
export async function clearKeyDoubt(tx: Tx, volumeId: string): Promise<void> {
  await tx
    .updateTable("block_storage.volume_key")
    .set({ is_in_doubt: false })
    .where("volume_id", "=", volumeId)
    .where("is_in_doubt", "=", true)
    .execute()
}

/** The key in a record of the backup: as it goes out of the cloud it opens in no other, and with no other data. */
export interface RecordedKey {
  sealed: string
  provider: string
  control_location: StoredKey["controlLocation"]
  cipher: string | null
  key_size: number | null
  volume_type_id: string | null
}

const placeOfRecord = (dataId: string) => `block_storage.backup_record/${dataId}`

export async function recordKey(
  platform: Platform,
  { id, dataId }: { id: string; dataId: string },
): Promise<RecordedKey | undefined> {
  const key = await keyOfBackup(platform.db, id)
  if (!key) return undefined
  return {
    sealed: sealLasting(platform, placeOfRecord(dataId), passphraseOf(platform, id, key)),
    provider: key.provider,
    control_location: key.controlLocation,
    cipher: key.cipher,
    key_size: key.keySize,
    volume_type_id: key.volumeTypeId,
  }
}

export async function importKey(
  platform: Platform,
  tx: Tx,
  { id, dataId }: { id: string; dataId: string },
  recorded: RecordedKey,
): Promise<void> {
  const passphrase = openLasting(platform, placeOfRecord(dataId), recorded.sealed)
  if (passphrase === null)
    throw backupInvalid(
      "its data are encrypted, and the key in the record was sealed by another cloud or for other data: it opens only " +
        "in the cloud that made the backup, with its secret (identity.keySecretFile).",
    )
  const { provider, control_location: controlLocation, cipher, key_size: keySize } = recorded
  const row = newKeyRow(platform, { provider, controlLocation, cipher, keySize }, passphrase)
  await insert(tx, { backup_id: id, ...row, volume_type_id: recorded.volume_type_id })
}
