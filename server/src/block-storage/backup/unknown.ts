// Where the store of backups and the rows differ, as after a backup of the cloud was restored: data that no backup is
// of, and backups whose data are gone. Nothing of it is removed by itself; whoever administers the cloud imports it, or
// discards it.
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { unknownDataNotFound } from "../faults.ts"
import { manifestName, readManifest } from "./manifest.ts"
import { objectStore, type StoredPrefix } from "./object-store.ts"
import { recordOf } from "./record.ts"
import { enterStoreEpoch, isStoreInEpoch, mayEnter } from "./store-epoch.ts"

export interface UnknownData {
  /** What `discard` is told. */
  id: string
  volumeId: string | null
  sizeBytes: number
  dataAt: string | null
  isAside: boolean
  /** For `openstack volume backup record import`, after those that it stands on; null: it is not whole, or aside. */
  record: { service: string; url: string } | null
}

export interface MissingData {
  backupId: string
  name: string | null
  projectId: string
}

/** Listed first, and the rows are read after: data whose row came in between are known then. */
async function* unknownPrefixes(platform: Platform): AsyncGenerator<StoredPrefix> {
  const found: StoredPrefix[] = []
  for await (const stored of objectStore(platform).prefixes()) if (isUuid(stored.prefix)) found.push(stored)
  for (let at = 0; at < found.length; at += chunkSize) {
    const chunk = found.slice(at, at + chunkSize)
    const rows = await platform.db
      .selectFrom("block_storage.backup_data")
      .select("id")
      .where(
        "id",
        "in",
        chunk.map(({ prefix }) => prefix),
      )
      .execute()
    const known = new Set(rows.map(({ id }) => id))
    for (const stored of chunk) if (!known.has(stored.prefix)) yield stored
  }
}

/** Of one statement. */
const chunkSize = 1_000

export async function listUnknownBackups(
  platform: Platform,
): Promise<{ data: UnknownData[]; missing: MissingData[] }> {
  const data: UnknownData[] = []
  for await (const stored of unknownPrefixes(platform)) data.push(await describe(platform, stored, false))
  for await (const stored of objectStore(platform).asides()) data.push(await describe(platform, stored, true))
  return { data, missing: await listMissing(platform) }
}

async function describe(platform: Platform, stored: StoredPrefix, isAside: boolean): Promise<UnknownData> {
  const bytes = await stored.get("manifest.json")
  const manifest = bytes && readManifest(bytes)
  return {
    id: stored.key,
    volumeId: manifest?.volumeId ?? null,
    sizeBytes: await stored.sizeBytes(),
    dataAt: manifest?.dataAt ?? null,
    isAside,
    record: bytes && manifest && !isAside ? recordOf(platform, { bytes, manifest }) : null,
  }
}

async function listMissing(platform: Platform): Promise<MissingData[]> {
  const missing: MissingData[] = []
  const store = objectStore(platform)
  for (let after = "00000000-0000-0000-0000-000000000000"; ; ) {
    const rows = await platform.db
      .selectFrom("block_storage.backup as b")
      .innerJoin("block_storage.backup_data as d", "d.id", "b.data_id")
      .select(["b.id", "b.name", "b.project_id", "d.id as dataId", "d.container"])
      .where("b.id", ">", after)
      .where("d.is_whole", "=", true)
      .where("d.going_since", "is", null)
      .orderBy("b.id")
      .limit(chunkSize)
      .execute()
    for (const { id: backupId, name, project_id: projectId, dataId, container } of rows) {
      const bytes = await store.get(container, manifestName(dataId))
      if (!bytes || !readManifest(bytes)) missing.push({ backupId, name, projectId })
    }
    const last = rows.at(-1)
    if (!last || rows.length < chunkSize) return missing
    after = last.id
  }
}

/** Deletes it for good. */
export async function discardUnknownBackup(platform: Platform, id: string): Promise<{ id: string }> {
  const find = async (all: AsyncIterable<StoredPrefix>) => {
    for await (const stored of all) if (stored.key === id) return stored
  }
  const store = objectStore(platform)
  const stored = (await find(store.asides())) ?? (await find(unknownPrefixes(platform)))
  if (!stored || !(await store.discard(stored))) throw unknownDataNotFound(id)
  platform.log.warn({ data: id }, "data of a backup that nobody knows are discarded for good")
  return { id }
}

/** Once there is nothing that no row knows, the store agrees with the database, and what is to go is removed again. */
export async function settleStore(platform: Platform): Promise<{ unknown: number }> {
  let unknown = 0
  try {
    if (await isStoreInEpoch(platform)) return { unknown }
    for await (const _stored of unknownPrefixes(platform)) unknown++
    if (unknown === 0 && (await mayEnter(platform))) await enterStoreEpoch(platform)
  } catch (error) {
    platform.log.warn({ err: describeError(error) }, "the store of backups is not compared with the database")
  }
  return { unknown }
}
