// Where the data of backups lie, and how they go. A row of `backup_data` is there before anything is written under its
// id, and until everything is removed: whatever dies in between, what is ours is known. What no row knows is never
// touched (ADR 18).
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { objectStore } from "./object-store.ts"
import { advanceBackup, type BackupTask, heldBackup } from "./store.ts"
import { isStoreInEpoch } from "./store-epoch.ts"

/** Each run of a task writes under an id of its own, so that none meets what an earlier one still sends. */
export async function beginData(tx: Tx, task: BackupTask): Promise<string> {
  const backup = await heldBackup({ db: tx }, task)
  if (backup.dataId !== null) await letDataGo(tx, backup.dataId)
  const id = newUuid()
  await tx.insertInto("block_storage.backup_data").values({ id, container: backup.container }).execute()
  await advanceBackup(tx, task, { data_id: id })
  return id
}

/** Nobody writes or reads them from now on, unless another backup has them too. */
export async function letDataGo(tx: Tx, dataId: string): Promise<void> {
  await tx
    .updateTable("block_storage.backup_data")
    .set({ going_since: sql<Date>`coalesce(going_since, now())` })
    .where("id", "=", dataId)
    .execute()
}

/** False: another backup than this one has them too. Whoever imports them meanwhile waits, and finds them going. */
export async function letDataGoUnlessHeld(tx: Tx, dataId: string, backupId: string): Promise<boolean> {
  if (!(await lockData(tx, dataId))) return false
  const another = await tx
    .selectFrom("block_storage.backup")
    .select("id")
    .where("data_id", "=", dataId)
    .where("id", "<>", backupId)
    .executeTakeFirst()
  if (another) return false
  await letDataGo(tx, dataId)
  return true
}

export interface BackupData {
  id: string
  container: string
  isWhole: boolean
  isGoing: boolean
}

const columns = sql<BackupData>`id, container, is_whole as "isWhole", going_since is not null as "isGoing"`

export async function selectData(db: DbOrTx, id: string): Promise<BackupData | undefined> {
  const { rows } =
    await sql<BackupData>`select ${columns} from block_storage.backup_data where id = ${id}`.execute(db)
  return rows[0]
}

/** The same; nobody else has the row before this transaction ends. */
export async function lockData(tx: Tx, id: string): Promise<BackupData | undefined> {
  const { rows } = await sql<BackupData>`select ${columns} from block_storage.backup_data where id = ${id}
    for update`.execute(tx)
  return rows[0]
}

/** Removes what is going, as well as it can: what it cannot, the reconciler does. */
export async function removeGoing(platform: Platform, dataId: string): Promise<void> {
  try {
    await removeObjects(platform, dataId)
  } catch (error) {
    platform.log.warn({ dataId, err: describeError(error) }, "data of a backup stay for now")
  }
}

export async function removeObjects(platform: Platform, dataId: string): Promise<void> {
  const data = await selectData(platform.db, dataId)
  if (!data?.isGoing) return
  const store = objectStore(platform)
  if (await isStoreInEpoch(platform)) await store.deleteAll(data.container, dataId)
  // What no row knows may stand on it.
  else await store.setAside(data.container, dataId)
}
