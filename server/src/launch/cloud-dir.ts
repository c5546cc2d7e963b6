// The data directory of one cloud: where everything lies, who the cloud is, and which process runs it.
//
//   cloud.json      id of the cloud (8 hex), made once          passwords.json  0600, made once
//   clouds.yaml, openrc-*   credentials for clients, 0600       run/main.json   the running process
//   postgres/ identity/ images/ agent/ ovn/ log/                run/            sockets and pid facts
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { makeDirectory } from "../platform/exec/directory.ts"
import { isProcessAlive, type ProcessIdentity } from "../platform/exec/process.ts"
import { Fault } from "../platform/fault/fault.ts"
import { newSecret } from "../platform/ids/ids.ts"
import type { Program } from "../platform/program/program.ts"
import { acquireLock } from "./lock.ts"

/** The kernel's limit on a unix socket's path is 107 bytes; the longest name that we put below `run/` is 40. */
const runDirLengthMax = 66

export interface CloudFacts {
  /** 8 hex digits; names namespaces, interfaces and nft tables of this cloud. */
  cloudId: string
  createdAt: string
  /** What lay in the directory before the cloud: not the cloud's to remove. */
  foundNames?: string[]
}

export interface Passwords {
  admin: string
  demo: string
}

export interface MainState {
  identity: ProcessIdentity
  /** What starts it again when it dies. */
  parent: ProcessIdentity | null
  /** Where the API answers. */
  url: string
  hypervisor: "qemu" | "fake"
  network: "ovn" | "fake"
  startedAt: string
  isReady: boolean
  /** What it is. Left out by programs of before there was an `upgrade`, which cannot leave guests behind when they stop. */
  program?: Program
}

export interface CloudDir {
  readonly path: string
  readonly facts: CloudFacts
  /** Short enough for sockets. */
  readonly runDir: string
  readonly logDir: string
  /** Where PostgreSQL lies: below `path`, or under /var/lib when its user cannot reach that. */
  readonly postgresDir: string
  readonly postgresSocketDir: string
}

/** Opens the data directory, making what is missing. */
export function openCloudDir(
  path: string,
  options: { canPostgresReach: (path: string) => boolean },
): CloudDir {
  makeDirectory(path, 0o711)
  const facts = readFacts(path) ?? makeFacts(path)
  const runDir = runDirOf(path, facts.cloudId)
  const logDir = join(path, "log")
  mkdirSync(runDir, { recursive: true, mode: 0o711 })
  mkdirSync(logDir, { recursive: true, mode: 0o711 })
  // PostgreSQL's user must be able to walk to its files; not so below a private home or temporary directory.
  const outside = `/var/lib/kumoi-${facts.cloudId}`
  const isOutside = existsSync(join(outside, "postgres")) || !options.canPostgresReach(path)
  const postgresDir = join(isOutside ? outside : path, "postgres")
  const postgresSocketDir = join(isOutside ? outside : runDir, isOutside ? "run" : "postgres")
  if (isOutside) mkdirSync(outside, { recursive: true, mode: 0o711 })
  return { path, facts, runDir, logDir, postgresDir, postgresSocketDir }
}

/** What a cloud left outside its directory; for `down --purge`. */
export function outsidePaths(cloudId: string): string[] {
  return [`/var/lib/kumoi-${cloudId}`, `/run/kumoi-${cloudId}`, `/run/kumoi-${cloudId}-tgt`]
}

export function runDirOf(path: string, cloudId: string): string {
  const inside = join(path, "run")
  if (inside.length <= runDirLengthMax) return inside
  const base = process.getuid?.() === 0 ? "/run" : (process.env.XDG_RUNTIME_DIR ?? "/tmp")
  return join(base, `kumoi-${cloudId}`)
}

export function readFacts(path: string): CloudFacts | undefined {
  return readJson<CloudFacts>(join(path, "cloud.json"))
}

function makeFacts(path: string): CloudFacts {
  // The log is of an `up --detach`, which begins with it.
  const foundNames = readdirSync(path).filter((name) => name !== "log")
  const facts: CloudFacts = {
    cloudId: randomBytes(4).toString("hex"),
    createdAt: new Date().toISOString(),
    ...(foundNames.length > 0 ? { foundNames } : {}),
  }
  writeJson(join(path, "cloud.json"), facts, 0o644)
  return facts
}

/** One process a cloud. */
export function acquireCloudLock(dir: CloudDir): Disposable {
  return acquireLock(join(dir.runDir, "main.lock"))
}

/** Generated at the first start and never again. */
export function readOrMakePasswords(path: string): Passwords {
  const file = join(path, "passwords.json")
  const found = readJson<Passwords>(file)
  if (found) return found
  const made = { admin: newSecret(18), demo: newSecret(18) }
  writeJson(file, made, 0o600)
  return made
}

export function readPasswords(path: string): Passwords {
  const found = readJson<Passwords>(join(path, "passwords.json"))
  if (found) return found
  throw new Fault(
    "not_found",
    "cli.no_cloud",
    `There is no cloud in ${path}. Start one with: ./kumoi up --data ${path}`,
  )
}

/** The process that runs this cloud now; undefined when none does. */
export function readMainState(path: string): MainState | undefined {
  const facts = readFacts(path)
  if (!facts) return undefined
  const state = readLastMainState(path, facts)
  return state && isProcessAlive(state.identity) ? state : undefined
}

/** As the last process left it, which may be dead. */
export function readLastMainState(path: string, facts: CloudFacts): MainState | undefined {
  return readJson<MainState>(join(runDirOf(path, facts.cloudId), "main.json"))
}

export function writeMainState(dir: CloudDir, state: MainState): void {
  writeJson(join(dir.runDir, "main.json"), state, 0o600)
}

/** What `down` asks of the process before it tells it to stop. */
export function stopRequestPath(dir: CloudDir): string {
  return join(dir.runDir, "stop.json")
}

/** What `down` and `upgrade` ask for. */
export type StopRequest = { graceMs: number } | { leavesToNext: ProcessIdentity }

/** How the process `own` is to stop, as it was asked, which is done with then; else with the usual time for guests. */
export function takeStopRequest(
  dir: CloudDir,
  own: ProcessIdentity,
): { graceMs: number; leavesToNext: boolean } {
  const asked = readJson<StopRequest>(stopRequestPath(dir))
  rmSync(stopRequestPath(dir), { force: true })
  if (asked === undefined) return { graceMs: guestGraceMs, leavesToNext: false }
  if ("graceMs" in asked) return { graceMs: asked.graceMs, leavesToNext: false }
  // One that was killed before it read that has left it to whoever comes later, who was not meant.
  const { pid, startTicks } = asked.leavesToNext
  return { graceMs: guestGraceMs, leavesToNext: pid === own.pid && startTicks === own.startTicks }
}

/** Guests get this long to power off by themselves when nobody has said how long. */
const guestGraceMs = 20_000

/** There while a restore is under way, or when one was interrupted. */
export function restoringPath(dir: Pick<CloudDir, "path">): string {
  return join(dir.path, "restoring.json")
}

/** Throws when the data directory is half restored. */
export function refuseHalfRestored(dir: CloudDir): void {
  if (existsSync(restoringPath(dir))) throw halfRestored(dir)
}

export function halfRestored(dir: CloudDir): Fault {
  return new Fault(
    "precondition",
    "cli.half_restored",
    `A restore into ${dir.path} has not come to its end. Do it again: ./kumoi restore DIR --data ${dir.path}`,
  )
}

export function removeMainState(dir: CloudDir): void {
  rmSync(join(dir.runDir, "main.json"), { force: true })
}

export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    if (error instanceof SyntaxError)
      throw new Fault("invalid", "cli.damaged_file", `${path} is damaged: ${error.message}.`)
    throw error
  }
}

export function writeJson(path: string, value: unknown, mode: number): void {
  writeWhole(path, `${JSON.stringify(value, null, 2)}\n`, mode)
}

/** Whole or not at all. */
export function writeWhole(path: string, text: string | Uint8Array, mode: number): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.tmp`, text, { mode })
  chmodSync(`${path}.tmp`, mode)
  renameSync(`${path}.tmp`, path)
}

/** Whether a process with these ids may search every directory down to `path`. */
export function canReach(path: string, ids: { uid: number; gid: number }): boolean {
  for (let at = path; ; at = dirname(at)) {
    try {
      const s = statSync(at)
      const bit = s.uid === ids.uid ? 0o100 : s.gid === ids.gid ? 0o010 : 0o001
      if ((s.mode & bit) === 0) return false
    } catch {
      // Not there yet: it will be made with the right mode.
    }
    if (at === "/") return true
  }
}
