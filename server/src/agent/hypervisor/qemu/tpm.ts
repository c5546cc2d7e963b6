// The TPM of a machine: a process of swtpm beside QEMU's, as its user and with nothing of root's. What it holds is in a
// directory of its own, encrypted; the key is in the process's memory and in no file that has a name. It ends with its
// connection to QEMU, however that ends; one that no QEMU came to is ended by whoever looks at the machine next.
//
//   vms/<serverId>/tpm/  tpm2-00.permall (or tpm-00.permall) log pid socket
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
} from "node:fs"
import {
  chown,
  copyFile,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises"
import { join } from "node:path"
import { eventually } from "../../../platform/clock/clock.ts"
import { startDetached } from "../../../platform/exec/detach.ts"
import { exec } from "../../../platform/exec/exec.ts"
import { endProcess, identifyProcess, type ProcessIdentity } from "../../../platform/exec/process.ts"
import { describeError } from "../../../platform/fault/fault.ts"
import { agentMachineStateWrong, agentStartFailed, agentTpmKeyMissing } from "../../faults.ts"
import type { GuestHardware, VmSpec } from "../../protocol.ts"
import type { VolumeKeys } from "../../volumes/volume-keys.ts"
import type { MachineOptions } from "./command-line.ts"
import { keyValues } from "./devices.ts"
import type { QemuMachine } from "./machine.ts"
import { linkOf } from "./reach.ts"
import type { RunDirectory } from "./run-directory.ts"

type Tpm = NonNullable<GuestHardware["tpm"]>
type User = MachineOptions["runAs"]

const startTimeoutMs = 10_000
/** Making its keys takes a second, and longer on a machine that is busy. */
const makeTimeoutMs = 120_000
const graceMs = 3_000

/** Which versions this host can give guests. */
export async function findTpmVersions(): Promise<Tpm["version"][]> {
  if (!existsSync("/usr/bin/swtpm") || !existsSync("/usr/bin/swtpm_setup")) return []
  try {
    const { stdout } = await exec("swtpm", ["socket", "--print-capabilities"])
    return (["1.2", "2.0"] as const).filter((version) => stdout.includes(`"tpm-${version}"`))
  } catch {
    return []
  }
}

export function tpmDevice({ tpmSocket }: RunDirectory, { hardware }: VmSpec): string[] {
  if (!hardware?.tpm) return []
  return [
    "-chardev",
    keyValues("socket", { id: "tpm0-chardev", path: tpmSocket }),
    "-tpmdev",
    "emulator,id=tpm0,chardev=tpm0-chardev",
    "-device",
    JSON.stringify({ driver: hardware.tpm.model, id: "tpm0-port", tpmdev: "tpm0" }),
  ]
}

const fileOf = ({ version }: Tpm) => (version === "2.0" ? "tpm2-00.permall" : "tpm-00.permall")

/** Before QEMU, which connects to it. A machine without one has none. */
export async function startTpm(
  directory: RunDirectory,
  { serverId, hardware }: VmSpec,
  keys: VolumeKeys | undefined,
  user: User,
): Promise<void> {
  await endTpm(directory)
  const tpm = hardware?.tpm
  if (!tpm) return
  if (!keys) throw agentTpmKeyMissing(serverId)
  const key = Buffer.from(await keys.ofTpm(serverId), "base64")
  try {
    if (!existsSync(join(directory.tpm, fileOf(tpm)))) await make(directory, tpm, key, user)
    await own(directory.tpm, user)
    await launch(directory, tpm, key, user)
    await symlink(join(directory.tpm, "socket"), directory.tpmSocket)
  } catch (error) {
    await endTpm(directory)
    const failed = agentStartFailed(serverId, `its TPM: ${describeError(error)}`)
    throw Object.assign(failed, { cause: error })
  }
}

/** Succeeds when none runs. */
export async function endTpm(directory: RunDirectory): Promise<void> {
  const living = findTpm(directory)
  if (living) await endProcess(living, { graceMs })
  for (const name of ["socket", "pid"]) rmSync(join(directory.tpm, name), { force: true })
  try {
    // `rm` follows a link, and finds nothing to remove at the end of this one.
    unlinkSync(directory.tpmSocket)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
  }
}

/** The pid may be another program's by now: it must be one that stands in this very directory. */
export function findTpm({ tpm }: RunDirectory): ProcessIdentity | null {
  try {
    const pid = Number(readFileSync(join(tpm, "pid"), "utf8").trim())
    return linkOf(`/proc/${pid}/cwd`) === tpm ? (identifyProcess(pid) ?? null) : null
  } catch {
    return null
  }
}

/** Its keys are made beside, so that a crash leaves none that is half made. */
async function make(directory: RunDirectory, tpm: Tpm, key: Buffer, user: User): Promise<void> {
  const work = join(directory.jobs, "tpm")
  await rm(work, { recursive: true, force: true })
  try {
    await mkdir(work, { mode: 0o700 })
    await own(work, user)
    await withKeyFiles(directory, key, async ([first]) => {
      const args = [
        ...(tpm.version === "2.0" ? ["--tpm2"] : []),
        ...["--tpmstate", "dir://.", "--createek", "--lock-nvram", "--logfile", "./log"],
        ...["--keyfile-fd", "3", "--cipher", "aes-256-cbc"],
      ]
      const [file, ...rest] = asUser(user, ["swtpm_setup", ...args])
      const outputFile = join(directory.root, "tpm-setup.log")
      const { identity, ended } = await startDetached(file, rest, { outputFile, cwd: work, inherit: [first] })
      const end = await Promise.race([ended, timeOut(makeTimeoutMs)])
      if (end === "late") await endProcess(identity, { graceMs })
      if (end === "late" || end.exitCode !== 0)
        throw new Error(
          `swtpm_setup: ${end === "late" ? "it took too long" : await lastLines(join(work, "log"))}`,
        )
    })
    await mkdir(directory.tpm, { recursive: true, mode: 0o700 })
    await rename(join(work, fileOf(tpm)), join(directory.tpm, fileOf(tpm)))
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function timeOut(ms: number): Promise<"late"> {
  return await new Promise((resolve) => setTimeout(() => resolve("late"), ms).unref())
}

async function launch(directory: RunDirectory, tpm: Tpm, key: Buffer, user: User): Promise<void> {
  const socket = join(directory.tpm, "socket")
  const cipher = "mode=aes-256-cbc,format=hex"
  await withKeyFiles(directory, key, async (inherit) => {
    const args = [
      ...(tpm.version === "2.0" ? ["--tpm2"] : []),
      // From where it stands: the path above may be one that only root enters.
      ...["--tpmstate", "dir=.,mode=0600", "--ctrl", "type=unixio,path=socket,mode=0600"],
      // With the second one what it holds is encrypted in the memory of a suspended guest, too.
      ...["--key", `fd=3,${cipher}`, "--migration-key", `fd=4,${cipher}`],
      ...["--pid", "file=pid", "--log", "file=log,level=1,truncate", "--terminate"],
    ]
    const [file, ...rest] = asUser(user, ["swtpm", "socket", ...args])
    const outputFile = join(directory.root, "tpm-setup.log")
    const { identity } = await startDetached(file, rest, { outputFile, cwd: directory.tpm, inherit })
    const isThere = () => existsSync(socket) || identifyProcess(identity.pid) === undefined
    await eventually("swtpm to listen", isThere, { timeoutMs: startTimeoutMs, intervalMs: 5 })
    if (!existsSync(socket)) throw new Error(`swtpm: ${await lastLines(join(directory.tpm, "log"))}`)
  })
}

/** Open, and without a name: each reader has it from its beginning. */
async function withKeyFiles(
  { keys: dir }: RunDirectory,
  key: Buffer,
  task: (files: [number, number]) => Promise<void>,
): Promise<void> {
  const path = join(dir, "tpm")
  const opened: number[] = []
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await writeFile(path, key.toString("hex"), { mode: 0o600 })
    const files: [number, number] = [openSync(path, "r"), openSync(path, "r")]
    opened.push(...files)
    rmSync(path)
    await task(files)
  } finally {
    for (const file of opened) closeSync(file)
    rmSync(path, { force: true })
  }
}

function asUser(user: User, command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  const nothing = ["--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all"]
  if (!user) return command
  const whom = [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", "--bounding-set=-all"]
  return ["setpriv", ...whom, ...nothing, ...command]
}

async function own(path: string, user: User): Promise<void> {
  chmodSync(path, 0o700)
  if (!user) return
  for (const name of readdirSync(path)) await chown(join(path, name), user.uid, user.gid)
  await chown(path, user.uid, user.gid)
}

async function lastLines(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "")
  return text.trim().split("\n").slice(-3).join("; ").slice(-400) || "it ended at once"
}

/** Of a machine that is off: what its TPM holds, encrypted as it is. An empty file: nothing yet. */
export async function saveTpm(directory: RunDirectory, { hardware }: VmSpec, toPath: string): Promise<void> {
  const from = hardware?.tpm && join(directory.tpm, fileOf(hardware.tpm))
  if (from && existsSync(from)) await copyFile(from, toPath)
  else await writeFile(toPath, "", { mode: 0o600 })
}

/** At any crash it holds what it held, or this. */
export async function restoreTpm(
  { directory, state, isAlive }: QemuMachine,
  { hardware }: VmSpec,
  path: string,
): Promise<void> {
  if (isAlive) throw agentMachineStateWrong("receive the TPM of", state.power)
  if (!hardware?.tpm) return
  const own = join(directory.tpm, fileOf(hardware.tpm))
  if ((await stat(path)).size === 0) return await rm(own, { force: true })
  await mkdir(directory.tpm, { recursive: true, mode: 0o700 })
  const work = `${own}.new`
  await copyFile(path, work)
  await using file = await open(work, "r+")
  await file.sync()
  await rename(work, own)
}
