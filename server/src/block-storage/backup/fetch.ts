// Data of a backup on their way back. The manifest has a sum of each part of the index, the index one of each chunk:
// what was changed or lost since is noticed.
import type { Platform } from "../../platform/context/context.ts"
import { backupDamaged, backupDataInvalid } from "../faults.ts"
import { selectData } from "./data.ts"
import type { FromHost } from "./keep.ts"
import {
  chunkName,
  type IndexEntry,
  type Manifest,
  manifestName,
  partChunks,
  partName,
  readManifest,
  readPart,
  sha256,
} from "./manifest.ts"
import { objectStore } from "./object-store.ts"
import { checkBackupTicket } from "./ticket.ts"

/** Of data that a backup has now. */
export async function readWhole(platform: Platform, dataId: string): Promise<Manifest> {
  const data = await selectData(platform.db, dataId)
  if (!data || data.isGoing || !data.isWhole)
    throw backupDamaged("they were never whole, or are being removed.")
  return (await readStored(platform, data)).manifest
}

/** Whatever rows say. */
export async function readStored(
  platform: Platform,
  { id, container }: { id: string; container: string },
): Promise<{ manifest: Manifest; bytes: Buffer }> {
  const bytes = await objectStore(platform).get(container, manifestName(id))
  const manifest = bytes && readManifest(bytes)
  if (!bytes || !manifest) throw backupDamaged("the list of its parts is not there.")
  const last = manifest.chain.at(-1)
  if (manifest.dataId !== id || last?.id !== id)
    throw backupDamaged("the list of its parts is of another backup.")
  return { manifest, bytes }
}

/** What the host is to expect. */
export async function openData(
  platform: Platform,
  from: FromHost,
): Promise<{ sizeBytes: number; chunkBytes: number }> {
  const { sizeBytes, chunkBytes } = await readable(platform, from)
  return { sizeBytes, chunkBytes }
}

async function readable(platform: Platform, from: FromHost): Promise<Manifest> {
  checkBackupTicket(platform, { ...from, verb: "read" })
  return await readWhole(platform, from.dataId)
}

export async function readIndex(platform: Platform, manifest: Manifest, part: number): Promise<IndexEntry[]> {
  const { chain, dataId } = manifest
  const bytes = await objectStore(platform).get(chain.at(-1)?.container ?? "", partName(dataId, part))
  const entries = bytes && readPart(bytes)
  const sum = bytes && (await sha256(new Uint8Array(bytes))).toString("hex")
  if (!entries || sum !== manifest.parts[part])
    throw backupDamaged(`part ${part} of its index is lost or changed.`)
  return entries
}

/** Digests of the part's chunks, as they were offered. */
export async function digestsOfPart(platform: Platform, from: FromHost & { part: number }): Promise<Buffer> {
  const manifest = await readable(platform, from)
  if (from.part >= manifest.parts.length) throw backupDataInvalid(`there is no part ${from.part}.`)
  const entries = await readIndex(platform, manifest, from.part)
  return Buffer.concat(entries.map(({ digest }) => digest))
}

/** The chunk as it lies; the host compares it with the digest. */
export async function readChunk(platform: Platform, from: FromHost & { chunk: number }): Promise<Buffer> {
  const { chunk } = from
  const manifest = await readable(platform, from)
  const part = Math.floor(chunk / partChunks)
  if (part >= manifest.parts.length) throw backupDataInvalid(`there is no chunk ${chunk}.`)
  const entry = (await readIndex(platform, manifest, part))[chunk % partChunks]
  if (!entry || entry.holder === null) throw backupDataInvalid(`chunk ${chunk} is zeros, or is not there.`)
  const holder = manifest.chain[entry.holder]
  const data = holder && (await objectStore(platform).get(holder.container, chunkName(holder.id, chunk)))
  if (!data) throw backupDamaged(`chunk ${chunk} is lost.`)
  return data
}
