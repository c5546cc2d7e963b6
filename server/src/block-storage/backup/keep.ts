// Data of a backup on their way in: what its host offers is compared with the backup before, what differs is taken and
// checked, and the manifest is written when all of it is there.
import type { Platform } from "../../platform/context/context.ts"
import { backupDamaged, backupDataInvalid, backupSuperseded } from "../faults.ts"
import { gib } from "../pool/place.ts"
import type { Backup } from "./backup.ts"
import { selectData } from "./data.ts"
import { readIndex, readWhole } from "./fetch.ts"
import {
  chunkName,
  dataPrefix,
  type IndexEntry,
  isZeroDigest,
  type Manifest,
  manifestName,
  partChunks,
  partName,
  readPart,
  sha256,
  splitDigests,
  writePart,
} from "./manifest.ts"
import { type ObjectStore, objectStore } from "./object-store.ts"
import { selectBackup } from "./store.ts"
import { checkBackupTicket } from "./ticket.ts"

export interface FromHost {
  host: string
  dataId: string
  ticket: string
}

interface Incoming {
  backup: Backup
  container: string
  store: ObjectStore
  chunkBytes: number
  /** So many at the most, as the volume is no larger. */
  chunksMost: number
  /** Of the backup that it stands on. */
  parent: Manifest | null
}

/** The backup that the data are of, as long as they are to come. */
async function incoming(platform: Platform, from: FromHost): Promise<Incoming> {
  const chunkBytes = checkBackupTicket(platform, { ...from, verb: "write" })
  const { dataId } = from
  const row = await platform.db
    .selectFrom("block_storage.backup")
    .select("id")
    .where("data_id", "=", dataId)
    .where("status", "=", "creating")
    .executeTakeFirst()
  const [backup, data] = [
    row && (await selectBackup(platform.db, row.id)),
    await selectData(platform.db, dataId),
  ]
  // Deleted meanwhile, or another run brings them.
  if (!backup || backup.dataId !== dataId || !data || data.isGoing || data.isWhole)
    throw backupSuperseded(dataId)
  return {
    backup,
    container: data.container,
    chunkBytes,
    chunksMost: Math.ceil((backup.sizeGib * gib) / chunkBytes),
    store: objectStore(platform),
    parent: await parentOf(platform, backup),
  }
}

async function parentOf(platform: Platform, { parentId }: Backup): Promise<Manifest | null> {
  if (parentId === null) return null
  const parent = await selectBackup(platform.db, parentId)
  if (!parent || parent.dataId === null)
    throw backupDamaged(`backup ${parentId}, on which it stands, has none.`)
  return await readWhole(platform, parent.dataId)
}

/** Chunks of this size the host is to make. */
export async function chunkBytesFor(platform: Platform, backup: Backup): Promise<number> {
  const parent = await parentOf(platform, backup)
  return parent?.chunkBytes ?? platform.config.blockStorage.backup.chunkBytes
}

/** Says which of the part's chunks are to be sent. Repeatable. */
export async function offerChunks(
  platform: Platform,
  from: FromHost & { part: number; digests: Buffer },
): Promise<number[]> {
  const { dataId, part } = from
  const given = splitDigests(from.digests)
  if (!given) throw backupDataInvalid(`a part has 1 to ${partChunks} digests.`)
  const { chunksMost, container, parent, store } = await incoming(platform, from)
  if (part * partChunks + given.length > chunksMost)
    throw backupDataInvalid(`part ${part} is beyond the volume, which has ${chunksMost} chunks.`)
  const before = parent && part < parent.parts.length ? await readIndex(platform, parent, part) : []
  const own = parent?.chain.length ?? 0
  const entries = given.map((digest, n): IndexEntry => {
    if (isZeroDigest(digest)) return { holder: null, digest }
    const last = before[n]
    const isSame = last !== undefined && last.holder !== null && last.digest.equals(digest)
    return { holder: isSame ? last.holder : own, digest }
  })
  await store.put(container, partName(dataId, part), writePart(entries))
  return entries.flatMap(({ holder }, n) => (holder === own ? [part * partChunks + n] : []))
}

/** One that was asked for, by its number. Repeatable. */
export async function putChunk(
  platform: Platform,
  from: FromHost & { chunk: number; data: Buffer<ArrayBuffer> },
): Promise<void> {
  const { chunk, data, dataId } = from
  const { chunkBytes, container, parent, store } = await incoming(platform, from)
  if (data.length > chunkBytes)
    throw backupDataInvalid(`chunk ${chunk} has ${data.length} bytes; ${chunkBytes} were asked for.`)
  const part = await store.get(container, partName(dataId, Math.floor(chunk / partChunks)))
  const entry = part && readPart(part)?.[chunk % partChunks]
  if (!entry || entry.holder !== (parent?.chain.length ?? 0))
    throw backupDataInvalid(`chunk ${chunk} was not asked for.`)
  if (!entry.digest.equals(await sha256(data)))
    throw backupDataInvalid(`chunk ${chunk} is not what was offered.`)
  await store.put(container, chunkName(dataId, chunk), data)
}

/** All is there: looks whether it is, and writes the manifest. Repeatable. */
export async function finishData(
  platform: Platform,
  from: FromHost & { sizeBytes: number; chunkBytes: number },
): Promise<void> {
  const { chunkBytes, dataId, sizeBytes } = from
  checkBackupTicket(platform, { ...from, verb: "write" })
  // The host has not heard the answer.
  if ((await selectData(platform.db, dataId))?.isWhole) return
  const { backup, container, parent, store, ...asked } = await incoming(platform, from)
  if (chunkBytes !== asked.chunkBytes)
    throw backupDataInvalid(`its chunks have ${chunkBytes} bytes; ${asked.chunkBytes} were asked for.`)
  if (sizeBytes > backup.sizeGib * gib)
    throw backupDataInvalid(`it has ${sizeBytes} bytes, and its volume ${backup.sizeGib} GiB.`)
  if (parent && parent.chunkBytes !== chunkBytes)
    throw backupDataInvalid(
      `its chunks have ${chunkBytes} bytes, those of the backup before ${parent.chunkBytes}.`,
    )
  const chain = [...(parent?.chain ?? []), { id: dataId, container }]
  const index = await sumsOf(store, container, dataId, {
    chunks: Math.ceil(sizeBytes / chunkBytes),
    own: chain.length - 1,
  })
  let there = 0
  for await (const _name of store.list(container, dataPrefix(dataId))) there++
  if (there !== index.ownChunks)
    throw backupDataInvalid(`${index.ownChunks} chunks are to be there, and ${there} are.`)
  const manifest: Manifest = {
    version: 1,
    dataId,
    projectId: backup.projectId,
    volumeId: backup.volumeId,
    sizeGib: backup.sizeGib,
    chunkBytes,
    sizeBytes,
    parts: index.sums,
    objectCount: there,
    chain,
    dataAt: backup.dataAt.toISOString(),
    volumeFacts: backup.volumeFacts,
  }
  await store.put(container, manifestName(dataId), Buffer.from(JSON.stringify(manifest)))
  await platform.db
    .updateTable("block_storage.backup_data")
    .set({ is_whole: true, object_count: there })
    .where("id", "=", dataId)
    .where("going_since", "is", null)
    .execute()
}

async function sumsOf(
  store: ObjectStore,
  container: string,
  dataId: string,
  { chunks, own }: { chunks: number; own: number },
): Promise<{ sums: string[]; ownChunks: number }> {
  const sums: string[] = []
  let ownChunks = 0
  for (let part = 0; part * partChunks < chunks; part++) {
    const data = await store.get(container, partName(dataId, part))
    const entries = data && readPart(data)
    const wanted = Math.min(partChunks, chunks - part * partChunks)
    if (!entries || entries.length !== wanted) throw backupDataInvalid(`part ${part} is not there whole.`)
    ownChunks += entries.filter(({ holder }) => holder === own).length
    sums.push((await sha256(new Uint8Array(data))).toString("hex"))
  }
  return { sums, ownChunks }
}
