// What a backup consists of. DIR/manifest.json is written last: a directory without one is no backup.
//
//   manifest.json         versions, epoch, every file with its length and SHA-256
//   database/S.T.copy     the rows of table T of schema S, as PostgreSQL's COPY writes text
//   images.jsonl          a line for each image with data: id, file, length, checksums
//   files/                what lies beside the database: passwords, the secret of the keys, policy files
//   image/store/ ...      the data of the images, with --images
//   volume-backups.jsonl  a line for the data of each backup of a volume
//   volume-backups/ ...   these data, with --volume-backups
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import { isAbsolute, join, normalize } from "node:path"
import { type Migration, readMigrations } from "../../platform/db/migrate.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { readJson } from "../cloud-dir.ts"
import { fileFault } from "./file-fault.ts"

export const manifestFormat = 1

export interface BackupFile {
  /** Below the backup's directory. */
  path: string
  sizeBytes: number
  sha256: string
}

export interface BackupTable {
  /** `"schema"."table"`, as SQL names it. */
  name: string
  columns: string[]
  path: string
}

export interface Manifest {
  format: number
  /** Of the program that made it. */
  version: string
  createdAt: string
  cloudId: string
  epoch: { number: number; id: string }
  postgresVersion: string
  migrations: { name: string; checksum: string }[]
  /** In an order in which no row refers to one of a later table. */
  tables: BackupTable[]
  sequences: { name: string; value: number }[]
  files: BackupFile[]
  images: DataFacts
  /** Backups of volumes; older backups of the cloud do not say. */
  volumeBackups?: DataFacts
}

interface DataFacts {
  count: number
  /** Of images, of all that the index names; of backups of volumes, of what is included. */
  sizeBytes: number
  areIncluded: boolean
  missing: number
}

export function readManifest(directory: string): Manifest {
  const path = join(directory, "manifest.json")
  let manifest: Manifest | undefined
  try {
    manifest = readJson<Manifest>(path)
  } catch (error) {
    throw fileFault(error, directory) ?? error
  }
  if (manifest === undefined) {
    throw new Fault(
      "not_found",
      "cli.no_backup",
      `There is no whole backup in ${directory}: it has no manifest.json, which is written last.`,
    )
  }
  if (typeof manifest?.format === "number" && manifest.format !== manifestFormat) {
    throw new Fault(
      "unsupported",
      "cli.backup_format",
      `The backup in ${directory} is of format ${manifest.format}; this program reads format ${manifestFormat}.`,
    )
  }
  const wrong = wrongParts(manifest)
  if (wrong.length === 0) return manifest
  throw new Fault(
    "invalid",
    "cli.backup_damaged",
    `The backup is damaged: ${path} has no right ${wrong.join(", ")}.`,
  )
}

const isText = (value: unknown) => typeof value === "string"
const isNumber = (value: unknown) => typeof value === "number"
const isFlag = (value: unknown) => typeof value === "boolean"
const isListOf = (isRight: IsRight) => (value: unknown) => Array.isArray(value) && value.every(isRight)
const isRecordOf = (parts: Record<string, IsRight>) => (value: unknown) =>
  typeof value === "object" &&
  value !== null &&
  Object.entries(parts).every(([name, isRight]) => isRight((value as Record<string, unknown>)[name]))

type IsRight = (value: unknown) => boolean

const isOfData = isRecordOf({ count: isNumber, sizeBytes: isNumber, areIncluded: isFlag, missing: isNumber })

const parts: Record<keyof Manifest, IsRight> = {
  format: isNumber,
  version: isText,
  createdAt: isText,
  cloudId: isText,
  epoch: isRecordOf({ number: isNumber, id: isText }),
  postgresVersion: isText,
  migrations: isListOf(isRecordOf({ name: isText, checksum: isText })),
  tables: isListOf(isRecordOf({ name: isText, columns: isListOf(isText), path: isText })),
  sequences: isListOf(isRecordOf({ name: isText, value: isNumber })),
  files: isListOf(isRecordOf({ path: isText, sizeBytes: isNumber, sha256: isText })),
  images: isOfData,
  volumeBackups: (value) => value === undefined || isOfData(value),
}

/** Names of what is missing, or is not what a manifest has there. */
function wrongParts(manifest: unknown): string[] {
  const found = typeof manifest === "object" && manifest !== null ? (manifest as Record<string, unknown>) : {}
  return Object.entries(parts)
    .filter(([name, isRight]) => !isRight(found[name]))
    .map(([name]) => name)
}

/** Throws when this program does not know the schema of the backup. */
export async function checkSchema(manifest: Manifest): Promise<void> {
  const known = new Map((await readMigrations()).map((m: Migration) => [m.name, m.checksum]))
  for (const { name, checksum } of manifest.migrations) {
    if (known.get(name) === checksum) continue
    throw new Fault(
      "unsupported",
      "cli.backup_newer",
      `The backup was made by version ${manifest.version} with migration ${name}, which this program ` +
        `${known.has(name) ? "has in another form" : "does not know"}. Restore it with that version or a newer one.`,
    )
  }
}

/** Throws when a file is missing, cut off or changed, naming it. */
export async function verifyFiles(directory: string, manifest: Manifest): Promise<void> {
  for (const file of manifest.files) {
    const path = join(directory, checkPath(file.path))
    const facts = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw fileFault(error, directory) ?? error
    })
    const why =
      facts === undefined
        ? "is missing"
        : facts.size !== file.sizeBytes
          ? `has ${facts.size} bytes instead of ${file.sizeBytes}`
          : (await hashFile(path)) !== file.sha256
            ? "is not what was written"
            : null
    if (why !== null)
      throw new Fault("invalid", "cli.backup_damaged", `The backup is damaged: ${path} ${why}.`)
  }
}

/** A path that stays below its directory. */
export function checkPath(path: string): string {
  if (path === "" || isAbsolute(path) || normalize(path) !== path || path.startsWith("..")) {
    throw new Fault("invalid", "cli.backup_damaged", `The backup's manifest names a strange file: ${path}.`)
  }
  return path
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256")
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer)
  return hash.digest("hex")
}
