// `kumoi restore DIR`: a stopped cloud, or a new data directory, becomes what the backup says. Nothing is overwritten:
// the database and the files that were there are kept aside, and machines and image data are not touched.
import { existsSync, rmSync } from "node:fs"
import { rename, rm } from "node:fs/promises"
import { join, resolve } from "node:path"
import { EpochStore } from "../../agent/epoch-store.ts"
import { agentDirectories } from "../../agent/machine-store.ts"
import { backupDirectory } from "../../block-storage/index.ts"
import { imageStoreDirectories } from "../../image/index.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { createLogger } from "../../platform/log/log.ts"
import { endLeftEngines, Supervisor } from "../../platform/supervise/supervisor.ts"
import { sizeText } from "../ask.ts"
import {
  acquireCloudLock,
  type CloudDir,
  canReach,
  openCloudDir,
  readFacts,
  readMainState,
  restoringPath,
  writeJson,
} from "../cloud-dir.ts"
import { chooseDatabase, describeDatabase, holdDatabase } from "../database.ts"
import { apiProcessesMost, apiProcessNames } from "../engines/api-process.ts"
import { lookUpUser, postgresEngine, postgresUrl } from "../engines/postgres.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "../options.ts"
import { ensureSystemUser } from "../packages.ts"
import { engineUserName } from "../plan.ts"
import { foreignNames } from "../purge.ts"
import { configOf } from "./backup.ts"
import { restoreFiles } from "./beside.ts"
import { withFileFaults } from "./file-fault.ts"
import { restoreImageData } from "./images.ts"
import { removeInterrupted, restorePlaces } from "./interrupted.ts"
import { checkIsEmpty, loadDatabase } from "./load.ts"
import { checkSchema, type Manifest, readManifest, verifyFiles } from "./manifest.ts"
import { type Say, sayTo } from "./say.ts"
import { restoreVolumeBackupData } from "./volume-backups.ts"

const specs = {
  ...dataOption,
  config: { type: "string", value: "FILE", help: "configuration file, as given to up" },
  json: { type: "boolean", help: "the result as JSON" },
} as const satisfies OptionSpecs

const what = `Makes the cloud in the data directory what the backup in DIR says. The cloud must be stopped, or there is
none yet. What the data directory had is kept aside; machines, image data and backups of volumes stay as they are.`

const about = { usage: "restore DIR [options]", what, specs, takesWords: true }

export const restore = command(about, async (options) => {
  const [from, ...rest] = options.positionals
  if (from === undefined || rest.length > 0) {
    process.stderr.write("kumoi: say the directory of one backup: ./kumoi restore DIR\n")
    return 2
  }
  const isJson = options.flag("json")
  const dataDir = dataDirOf(options)
  const how = {
    directory: resolve(from),
    dataDir,
    configFile: options.text("config"),
    say: sayTo(isJson),
  }
  const done = await withFileFaults(dataDir, () => restoreBackup(how))
  if (isJson) process.stdout.write(`${JSON.stringify(done, null, 2)}\n`)
  else process.stdout.write(afterwards(dataDir, done))
  return 0
})

function afterwards(dataDir: string, { createdAt, keptIn }: Restored): string {
  const kept = keptIn.length === 0 ? "" : `What was there before is kept in ${keptIn.join(" and ")}.\n`
  return `The cloud in ${dataDir} is as it was at ${createdAt}. ${kept}
Start it, and look at what has come and gone since; nothing of it is deleted by itself:
  ./kumoi up --data ${dataDir}
  ./kumoi host unknown --data ${dataDir}
  ./kumoi image unknown --data ${dataDir}
  ./kumoi volume unknown --data ${dataDir}
  ./kumoi volume-backup unknown --data ${dataDir}
`
}

interface RestoreOptions {
  directory: string
  dataDir: string
  configFile: string | undefined
  say: Say
}

interface Restored {
  createdAt: string
  epoch: number
  imagesCopied: number
  volumeBackupsCopied: number
  /** Where that lies which was there before. */
  keptIn: string[]
}

async function restoreBackup({ directory, dataDir, configFile, say }: RestoreOptions): Promise<Restored> {
  const manifest = readManifest(directory)
  await checkSchema(manifest)
  const sizeBytes = manifest.files.reduce((bytes, file) => bytes + file.sizeBytes, 0)
  say(`checking ${manifest.files.length} files (${sizeText(sizeBytes)})`)
  await verifyFiles(directory, manifest)
  const running = readMainState(dataDir)
  if (running) {
    throw new Fault(
      "conflict",
      "cli.already_running",
      `The cloud in ${dataDir} is running (process ${running.identity.pid}). Stop it first: ./kumoi down --data ${dataDir}`,
    )
  }
  refuseForeign(dataDir)
  const engineUser = await findEngineUser()
  const dir = openCloudDir(dataDir, {
    canPostgresReach: (path) => engineUser === null || canReach(path, engineUser),
  })
  using _lock = acquireCloudLock(dir)
  // Of a cloud that was killed. Guests go on.
  await endLeftEngines(dir.runDir, [...apiProcessNames(apiProcessesMost), "postgres"])
  const target: Target = { dir, directory, manifest, engineUser, say, stamp: stampOf(new Date()) }
  const url = chooseDatabase(dir, process.env.DATABASE_URL || undefined)
  const keptIn = new Set<string>()
  const epoch = url === null ? await restoreOwnDatabase(target, keptIn) : await restoreInto(target, url)
  const aside = join(dataDir, `before-restore-${target.stamp}`)
  await restoreFiles(dataDir, directory, manifest.files, aside)
  if (existsSync(aside)) keptIn.add(aside)
  const config = configOf(dataDir, configFile)
  const stores = imageStoreDirectories(config)
  const imagesCopied = await restoreImageData(directory, stores, manifest.files)
  if (manifest.images.areIncluded) say(`images: ${imagesCopied} files that were missing are back`)
  const volumeBackupsCopied = await restoreVolumeBackupData(
    directory,
    backupDirectory(config),
    manifest.files,
  )
  if (manifest.volumeBackups?.areIncluded)
    say(`backups of volumes: ${volumeBackupsCopied} files that were missing are back`)
  rmSync(restoringPath(dir), { force: true })
  return { createdAt: manifest.createdAt, epoch, imagesCopied, volumeBackupsCopied, keptIn: [...keptIn] }
}

/** A directory with something else in it is most likely not the one that was meant. */
function refuseForeign(dataDir: string): void {
  if (readFacts(dataDir)) return
  const names = foreignNames(dataDir)
  if (names.length === 0) return
  throw new Fault(
    "conflict",
    "cli.directory_not_empty",
    `${dataDir} is not empty and holds no cloud. Name a cloud's data directory, or a new one.`,
  )
}

/** From here until all is in place the cloud may be half the one and half the other: `up` refuses it. */
function beginRestoring(dir: CloudDir): void {
  writeJson(restoringPath(dir), { since: new Date().toISOString() }, 0o600)
}

interface Target {
  dir: CloudDir
  directory: string
  manifest: Manifest
  engineUser: { uid: number; gid: number } | null
  say: Say
  stamp: string
}

async function findEngineUser(): Promise<Target["engineUser"]> {
  if (process.getuid?.() !== 0) return null
  await ensureSystemUser(engineUserName)
  return await lookUpUser(engineUserName)
}

const stampOf = (now: Date) => now.toISOString().replaceAll(/[-:]|\..*/g, "")

/**
 * Into a cluster made beside the one that is there, which takes its place when all is in it: a restore that is
 * interrupted has changed nothing, and can be begun again.
 */
async function restoreOwnDatabase(target: Target, keptIn: Set<string>): Promise<number> {
  const { dir, engineUser, say, stamp } = target
  const { fresh, socketDir, runDir } = restorePlaces(dir)
  await removeInterrupted(dir)
  const supervisor = new Supervisor({ runDir, log: logOf(dir) })
  say("starting a new PostgreSQL")
  let epoch: number
  try {
    const engine = await postgresEngine({
      dataDir: fresh,
      socketDir,
      logFile: join(dir.logDir, "postgres-restore.log"),
      runAs: engineUser,
    })
    await supervisor.start(engine)
    epoch = await load(target, postgresUrl(socketDir))
  } finally {
    await supervisor.stopAll()
    await rm(socketDir, { recursive: true, force: true })
    await rm(runDir, { recursive: true, force: true })
  }
  beginRestoring(dir)
  if (existsSync(dir.postgresDir)) {
    const kept = `${dir.postgresDir}.before-restore-${stamp}`
    await rename(dir.postgresDir, kept)
    keptIn.add(kept)
  }
  await rename(fresh, dir.postgresDir)
  return epoch
}

/** Nobody else works on a database that is empty. */
const lockLeaseMs = 60_000

async function restoreInto(target: Target, url: string): Promise<number> {
  await using _held = await holdDatabase(target.dir, {
    url,
    host: "restore",
    address: "-",
    leaseMs: lockLeaseMs,
  })
  await checkIsEmpty(url, describeDatabase(url))
  beginRestoring(target.dir)
  return await load(target, url)
}

async function load({ dir, directory, manifest, say }: Target, url: string): Promise<number> {
  say(`loading ${manifest.tables.length} tables`)
  const known = new EpochStore(agentDirectories(dir.path).epoch).entered
  const epoch = await loadDatabase(url, directory, manifest, { epochAbove: known?.number ?? 0 })
  say(`the database is as it was at ${manifest.createdAt}; epoch ${epoch} begins`)
  return epoch
}

function logOf(dir: CloudDir) {
  return createLogger({ file: join(dir.logDir, "kumoi.log"), level: "info" })
}
