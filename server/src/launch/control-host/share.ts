// What the control hosts of a cloud share beside the database: secrets, rules, configuration, directories. Whoever has
// it has the cloud, so the door gives it to control hosts alone.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import type { ControlShare, SharedDirectory } from "../../agent/door-protocol.ts"
import { keySecretPath } from "../../identity/index.ts"
import { type Config, declaredSections, loadConfig } from "../../platform/config/config.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newSecret } from "../../platform/ids/ids.ts"
import { filesBelow, namesBeside } from "../backup/beside.ts"
import { writeWhole } from "../cloud-dir.ts"

/** The authority of `up --tls`, by which clients know the cloud; each host's certificate is its own. */
const ofTls = ["tls/ca.pem", "tls/ca.key"]
const ofRules = ["policy.yaml", "policy.d"]
const publicNetworkFile = "public-network.json"
const keySecretFile = "identity/key-secret"
/** What each host says for itself. */
const ownSections = new Set(["agent", "fake", "log"])

export interface Sharing {
  dataDir: string
  /** As this process runs with. */
  config: Config
  databaseUrl: string | undefined
  brokerUrl: string | undefined
  networkId: string
}

/** Throws where the cloud can have one control host only, and says why. */
export async function shareControl(sharing: Sharing): Promise<ControlShare> {
  const { dataDir, config, databaseUrl, brokerUrl, networkId } = sharing
  if (databaseUrl === undefined) throw builtInDatabase()
  const directories = sharedDirectories(config)
  const own = [...namesBeside, ...ofTls, publicNetworkFile]
  const paths = (await Promise.all(own.map(async (name) => await filesBelow(dataDir, name)))).flat()
  const files = paths.map((path) => ({ path, content: readFileSync(join(dataDir, path), "base64") }))
  const keySecret = keySecretPath(config)
  if (keySecret !== join(dataDir, keySecretFile))
    files.push({ path: keySecretFile, content: readFileSync(keySecret, "base64") })
  return {
    databaseUrl,
    brokerUrl: brokerUrl ?? null,
    networkId,
    files,
    config: configOf(config),
    directories,
  }
}

function builtInDatabase(): Fault {
  const message =
    "The state of this cloud lies in its own PostgreSQL, which no other machine reaches. For several control hosts the " +
    "cloud must be on a PostgreSQL of yours from its first start: DATABASE_URL"
  return new Fault("precondition", "cli.control.built_in_database", message)
}

/** Where it differs from the defaults. */
function configOf(config: Config): ControlShare["config"] {
  const { dataDir, publicUrl, region, host } = config
  const defaults = loadConfig({ env: {}, base: { dataDir, publicUrl, region, host } as Config })
  const given: ControlShare["config"] = {}
  for (const { name } of declaredSections()) {
    if (ownSections.has(name)) continue
    const own = differing(sectionOf(config, name), sectionOf(defaults, name))
    // It comes as a file.
    if (name === "identity") delete own.keySecretFile
    if (Object.keys(own).length > 0) given[name] = own
  }
  return given
}

function sectionOf(config: Config, name: string): Record<string, unknown> {
  // Each declared section is an object.
  return (config as unknown as Record<string, Record<string, unknown>>)[name] ?? {}
}

function differing(
  values: Record<string, unknown>,
  defaults: Record<string, unknown>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(defaults[key])),
  )
}

const markFile = ".kumoi-shared"

/** Of images and backups: whichever host works has them. */
function sharedDirectories(config: Config): SharedDirectory[] {
  return directoriesOf(config).map(({ key, path }) => {
    if (path === "") throw notShared(key)
    return { key, path, mark: ensureMark(path) }
  })
}

function directoriesOf({ image, blockStorage }: Config): { key: string; path: string }[] {
  const stores = image.stores.filter(({ type }) => type === "file")
  return [
    { key: "image.storeDir", path: image.storeDir },
    ...stores.map(({ id, directory = "" }) => ({ key: `image.stores (${id})`, path: directory })),
    { key: "blockStorage.backup.directory", path: blockStorage.backup.directory },
  ]
}

function notShared(key: string): Fault {
  const message =
    `Images and backups of volumes lie in this host's data directory, where no other control host has them. Name a ` +
    `directory that all control hosts have (NFS, CephFS), move what there is, and start again: ${key}`
  return new Fault("precondition", "cli.control.not_shared", message)
}

function ensureMark(path: string): string {
  const file = join(path, markFile)
  if (!existsSync(file)) {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    writeWhole(file, newSecret(16), 0o600)
  }
  return readFileSync(file, "utf8").trim()
}

/** Throws when a directory is not the one that the others have. */
export function checkDirectories(directories: readonly SharedDirectory[]): void {
  for (const { key, path, mark } of directories) {
    const file = join(path, markFile)
    if (existsSync(file) && readFileSync(file, "utf8").trim() === mark) continue
    const message =
      `${path} is not the directory that the cloud's other control hosts have under ${key}: mount it here at the same ` +
      `path, then start again.`
    throw new Fault("precondition", "cli.control.directory_other", message)
  }
}

/** Puts the files in place, each whole or not at all, readable by their owner alone. Rules that are gone go. */
export async function keepFiles(dataDir: string, files: ControlShare["files"]): Promise<void> {
  for (const { path, content } of files) {
    const to = join(dataDir, checkedPath(path))
    const bytes = Buffer.from(content, "base64")
    if (existsSync(to) && readFileSync(to).equals(bytes)) continue
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 })
    writeWhole(to, bytes, 0o600)
  }
  const kept = new Set(files.map(({ path }) => path))
  const rules = (await Promise.all(ofRules.map(async (name) => await filesBelow(dataDir, name)))).flat()
  for (const path of rules) if (!kept.has(path)) rmSync(join(dataDir, path), { force: true })
}

/** From another host: it names nothing outside the data directory, and nothing but what is shared. */
function checkedPath(path: string): string {
  const isShared = [...namesBeside, "tls", publicNetworkFile].includes(path.split("/")[0] ?? "")
  if (isShared && !path.split("/").includes("..")) return path
  throw new Fault("bug", "cli.control.path", `The cloud gave a file ${path}, which is none that is shared.`)
}
