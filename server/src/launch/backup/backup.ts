// `kumoi backup DIR`: everything of a running cloud that cannot be made again, in one consistent moment.
import { existsSync, readdirSync, realpathSync } from "node:fs"
import { open, rename, writeFile } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import pg from "pg"
import "../../control-plane.ts" // declares every section of the configuration
import { backupDirectory } from "../../block-storage/index.ts"
import { imageStoreDirectories } from "../../image/index.ts"
import { type Config, loadConfig } from "../../platform/config/config.ts"
import { makeDirectory } from "../../platform/exec/directory.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { ownProgram } from "../../platform/program/program.ts"
import { awayText, sizeText } from "../ask.ts"
import { type CloudDir, openCloudDir, readFacts, readMainState } from "../cloud-dir.ts"
import { chooseDatabase, describeDatabase } from "../database.ts"
import { postgresUrl } from "../engines/postgres.ts"
import { readMembership } from "../joined/membership.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "../options.ts"
import { backUpFiles } from "./beside.ts"
import { beginSnapshot, dumpDatabase } from "./dump.ts"
import { withFileFaults } from "./file-fault.ts"
import { backUpImages } from "./images.ts"
import { type Manifest, manifestFormat } from "./manifest.ts"
import { type Say, sayTo } from "./say.ts"
import { backUpVolumeBackups } from "./volume-backups.ts"

const specs = {
  ...dataOption,
  images: { type: "boolean", help: "copy the data of the images as well" },
  "volume-backups": { type: "boolean", help: "copy the data of the backups of volumes as well" },
  config: { type: "string", value: "FILE", help: "configuration file, as given to up" },
  json: { type: "boolean", help: "the result as JSON" },
} as const satisfies OptionSpecs

const what = `Backs a running cloud up into DIR, a new or empty directory: database, passwords, keys, policy, and
an index of the images and of the backups of volumes. Disks of machines and volumes are not in it. DIR holds secrets:
it is made for its owner alone.`

const about = { usage: "backup DIR [options]", what, specs, takesWords: true }

export const backup = command(about, async (options) => {
  const [to, ...rest] = options.positionals
  if (to === undefined || rest.length > 0) {
    process.stderr.write("kumoi: say one directory for the backup: ./kumoi backup DIR\n")
    return 2
  }
  const isJson = options.flag("json")
  const how = {
    directory: resolve(to),
    dataDir: dataDirOf(options),
    configFile: options.text("config"),
    withImages: options.flag("images"),
    withVolumeBackups: options.flag("volume-backups"),
    say: sayTo(isJson),
  }
  const manifest = await withFileFaults(how.directory, () => makeBackup(how))
  const sizeBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0)
  if (isJson) {
    const { createdAt, epoch, images, volumeBackups } = manifest
    const result = {
      directory: resolve(to),
      createdAt,
      epoch,
      images,
      volumeBackups,
      sizeBytes,
      files: manifest.files.length,
    }
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
  } else process.stdout.write(`The backup in ${resolve(to)} is whole: ${sizeText(sizeBytes)}.\n`)
  return 0
})

interface BackupOptions {
  directory: string
  dataDir: string
  configFile: string | undefined
  withImages: boolean
  withVolumeBackups: boolean
  say: Say
}

async function makeBackup(options: BackupOptions): Promise<Manifest> {
  const { directory, dataDir, say } = options
  const facts = readFacts(dataDir)
  if (!facts) throw new Fault("not_found", "cli.no_cloud", `There is no cloud in ${dataDir}.`)
  const dir = openCloudDir(dataDir, { canPostgresReach: () => true })
  const url = databaseOf(dir)
  makeTarget(directory, [dataDir, dirname(dir.postgresDir)])
  const client = new pg.Client({ connectionString: url, application_name: "kumoi backup" })
  client.on("error", () => {})
  await client.connect()
  try {
    await beginSnapshot(client)
    say(`reading the database (${describeDatabase(url)})`)
    const { files, ...database } = await dumpDatabase(client, directory)
    say(`database: ${database.tables.length} tables, ${sizeText(sum(files))}`)
    const beside = await backUpFiles(dataDir, directory)
    say(`keys, passwords and policy: ${beside.length} files`)
    const config = configOf(dataDir, options.configFile)
    const stores = imageStoreDirectories(config)
    const { images, files: ofImages } = await backUpImages(client, stores, directory, options.withImages)
    const how = images.areIncluded ? "copied" : "index only; --images copies their data"
    say(`images: ${images.count} with ${sizeText(images.sizeBytes)} (${how})`)
    if (images.missing > 0) say(`images: ${images.missing} lack a file in a store`)
    const store = backupDirectory(config)
    const ofVolumes = await backUpVolumeBackups(client, store, directory, options.withVolumeBackups)
    const { volumeBackups } = ofVolumes
    const copied = volumeBackups.areIncluded
      ? `copied, ${sizeText(volumeBackups.sizeBytes)}`
      : "index only; --volume-backups copies their data"
    say(`backups of volumes: ${volumeBackups.count} (${copied})`)
    if (volumeBackups.missing > 0) say(`backups of volumes: ${volumeBackups.missing} lack their data`)
    const manifest: Manifest = {
      format: manifestFormat,
      version: ownProgram().version,
      createdAt: new Date().toISOString(),
      cloudId: facts.cloudId,
      ...database,
      files: [...files, ...beside, ...ofImages, ...ofVolumes.files],
      images,
      volumeBackups,
    }
    await writeManifest(directory, manifest)
    return manifest
  } finally {
    await client.end().catch(() => {})
  }
}

const sum = (files: readonly { sizeBytes: number }[]) => files.reduce((bytes, f) => bytes + f.sizeBytes, 0)

function databaseOf(dir: CloudDir): string {
  const dataDir = dir.path
  const external = chooseDatabase(dir, process.env.DATABASE_URL || undefined)
  if (external !== null) return external
  const joined = readMembership(dataDir)
  if (joined) {
    const text = `${dataDir} is the host ${joined.name} of the cloud at ${joined.door}, which has the database: back up there.`
    throw new Fault("precondition", "cli.joined_host", text)
  }
  if (readMainState(dataDir)) return postgresUrl(dir.postgresSocketDir)
  throw new Fault("precondition", "cli.not_running", `The database runs with its cloud. ${awayText(dataDir)}`)
}

/** The configuration as the cloud reads it, for where its image store is. */
export function configOf(dataDir: string, configFile: string | undefined): Config {
  // What else a configuration says is not asked for here.
  const base = { dataDir, publicUrl: "", region: "", host: "" } as Config
  return loadConfig({ file: configFile, env: process.env, base })
}

/** An empty directory that is not the cloud's own (`own`), where it would go with the cloud. */
export function makeTarget(directory: string, own: readonly string[]): void {
  const real = realPath(directory)
  for (const path of own) {
    if (!`${real}/`.startsWith(`${realPath(path)}/`)) continue
    throw new Fault(
      "conflict",
      "cli.directory_of_cloud",
      `${directory} lies in the cloud's own directory ${path}. Name a directory outside it for the backup.`,
    )
  }
  makeDirectory(directory, 0o700)
  if (readdirSync(directory).length === 0) return
  throw new Fault(
    "conflict",
    "cli.directory_not_empty",
    `${directory} is not empty. A backup is never written over another one: name a new directory.`,
  )
}

/** Without links, of as much of it as is there. */
function realPath(path: string): string {
  if (existsSync(path)) return realpathSync(path)
  return path === dirname(path) ? path : join(realPath(dirname(path)), basename(path))
}

async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  const path = join(directory, "manifest.json")
  await writeFile(`${path}.tmp`, `${JSON.stringify(manifest, null, 1)}\n`, { mode: 0o600, flush: true })
  await rename(`${path}.tmp`, path)
  const handle = await open(directory, "r")
  await handle.sync().finally(() => handle.close())
}
