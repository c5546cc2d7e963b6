// How the data of a backup lie in the store, below the data's id:
//
//   data/<part>/<chunk>    the chunks that no earlier backup of the chain has, in hexadecimal numbers
//   index/<part>           of each chunk of the part which of the chain has it, and its SHA-256
//   manifest.json          written last: with it the backup is there
//
// An index tells of every chunk of the volume, so nobody walks the chain to read one.
import { type Static, Type } from "typebox"
import { fits } from "../../platform/schema/compiled.ts"
import { closed } from "../../platform/schema/make.ts"
import { VolumeFacts } from "./backup.ts"

/** Chunks of a part. */
export const partChunks = 1_024
export const digestBytes = 32
/** One that is all zeros is in no object, and has no digest. */
const zeroChunk = 255
const entryBytes = 1 + digestBytes
/** Backups that stand on one another: a number in the index tells which. */
export const chainMost = zeroChunk

const partsMost = 65_536
const Sum = Type.String({ pattern: "^[0-9a-f]{64}$" })
const Uuid = Type.String({ format: "uuid" })
const Count = Type.Integer({ minimum: 0 })

const Manifest = closed(
  {
    version: Type.Literal(1),
    dataId: Uuid,
    projectId: Type.String({ maxLength: 255 }),
    volumeId: Uuid,
    sizeGib: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
    chunkBytes: Type.Integer({ minimum: 512, maximum: 2 ** 30 }),
    /** Of what was read; what a volume has beyond it is zeros. */
    sizeBytes: Count,
    /** SHA-256 of each part of the index. */
    parts: Type.Array(Sum, { maxItems: partsMost }),
    /** Of its own. */
    objectCount: Count,
    /** The oldest first, itself last. */
    chain: Type.Array(Type.Object({ id: Uuid, container: Type.String({ maxLength: 255 }) }), {
      minItems: 1,
      maxItems: chainMost,
    }),
    /** When the data were so. */
    dataAt: Type.String({ format: "date-time" }),
    volumeFacts: VolumeFacts,
  },
  [
    ...([
      "version",
      "dataId",
      "projectId",
      "volumeId",
      "sizeGib",
      "chunkBytes",
      "sizeBytes",
      "parts",
    ] as const),
    ...(["objectCount", "chain", "dataAt", "volumeFacts"] as const),
  ],
)
export type Manifest = Static<typeof Manifest>

export function readManifest(data: Buffer): Manifest | null {
  try {
    const parsed: unknown = JSON.parse(data.toString())
    // The schema has just said so.
    return fits(Manifest, parsed) ? (parsed as Manifest) : null
  } catch {
    return null
  }
}

const hex = (number: number, length: number) => number.toString(16).padStart(length, "0")

export const manifestName = (dataId: string) => `${dataId}/manifest.json`
export const partName = (dataId: string, part: number) => `${dataId}/index/${hex(part, 6)}`
export const dataPrefix = (dataId: string) => `${dataId}/data`
export const chunkName = (dataId: string, chunk: number) =>
  `${dataPrefix(dataId)}/${hex(Math.floor(chunk / partChunks), 6)}/${hex(chunk % partChunks, 3)}`

export interface IndexEntry {
  /** Number in the chain; null: all zeros. */
  holder: number | null
  digest: Buffer
}

export function writePart(entries: readonly IndexEntry[]): Buffer {
  return Buffer.concat(entries.flatMap(({ holder, digest }) => [Buffer.from([holder ?? zeroChunk]), digest]))
}

/** Null: these are no entries. */
export function readPart(data: Buffer): IndexEntry[] | null {
  if (data.length % entryBytes !== 0 || data.length > partChunks * entryBytes) return null
  return Array.from({ length: data.length / entryBytes }, (_, n) => {
    const entry = data.subarray(n * entryBytes, (n + 1) * entryBytes)
    const holder = entry[0] === zeroChunk ? null : (entry[0] ?? null)
    return { holder, digest: entry.subarray(1) }
  })
}

/** As hosts tell them: one after the other, zeros for a chunk of zeros. Null: these are none. */
export function splitDigests(data: Buffer): Buffer[] | null {
  if (data.length === 0 || data.length % digestBytes !== 0 || data.length > partChunks * digestBytes)
    return null
  return Array.from({ length: data.length / digestBytes }, (_, n) =>
    data.subarray(n * digestBytes, (n + 1) * digestBytes),
  )
}

const noDigest = Buffer.alloc(digestBytes)

export function isZeroDigest(digest: Buffer): boolean {
  return digest.equals(noDigest)
}

export async function sha256(data: Uint8Array<ArrayBuffer>): Promise<Buffer> {
  // Beside the program's own thread.
  return Buffer.from(await crypto.subtle.digest("SHA-256", data))
}
