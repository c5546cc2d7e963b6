// tgtd of one back end of volumes: its own control socket, none of the distribution's units or files, and a user who
// may do nothing but open what it is lent. It stands in the machine's own network namespace, where hosts reach it.
// It remembers nothing: after each start it is told what is given to whom, and then where to listen.
import { createHash } from "node:crypto"
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import type { IscsiVolumeDriver } from "../../agent/volumes/iscsi-driver.ts"
import { Tgt } from "../../agent/volumes/tgt.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { Logger } from "../../platform/log/log.ts"
import type { EngineSpec } from "../../platform/supervise/supervisor.ts"

export interface TgtdOptions {
  driver: IscsiVolumeDriver
  logDir: string
  log: Logger
}

const prefix = "tgtd-"
/** Each volume and each that is logged in is one. */
const openFilesMost = 65_536
/** A host that was lost is logged out after some of these; until then nobody else gets its volumes. */
const probes = "nop_interval=5,nop_count=3"

export function tgtdEngine({ driver, logDir, log }: TgtdOptions): EngineSpec {
  const { name, target } = driver
  if (!target) throw new Error(`the back end ${name} gives no volumes to other hosts`)
  const { portal, socketPath, user } = target
  const dir = dirname(socketPath)
  const drops = ["--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
  const asUser = user ? ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, ...drops] : []
  // This process's own, so that one that outlived an earlier process is not adopted but started anew: which of its
  // targets were made whole, and for whom, it does not say.
  const env = [`KUMOI_STARTED=${newUuid()}`, `KUMOI_PORTAL=${portal}`, `TGT_IPC_SOCKET=${socketPath}`]
  // Where there are no targets yet, and nobody else comes.
  const listen = ["--iscsi", `portal=127.0.0.1:0,${probes}`]
  const tgt = new Tgt({ name, socketPath, user })
  return {
    name: `${prefix}${name}`,
    command: "prlimit",
    args: [`--nofile=${openFiles()}:`, ...asUser, "env", ...env, "tgtd", "-f", "-C", "0", ...listen],
    logFile: join(logDir, `${prefix}${name}.log`),
    isReady: () => tgt.answers(),
    // It takes no notice of SIGTERM while it has targets. What guests flushed is on the disk, the rest in the kernel.
    stopSignal: "SIGKILL",
    prepare: async () => {
      // Its user walks to it, and nobody else looks into it.
      mkdirSync(dirname(dir), { recursive: true, mode: 0o711 })
      mkdirSync(dir, { recursive: true, mode: 0o700 })
      for (const file of readdirSync(dir)) rmSync(join(dir, file), { force: true })
      if (user) chownSync(dir, user.uid, user.gid)
    },
    afterStart: async () => {
      for (const { volumeId, error } of await driver.tellTgtd())
        log.error({ backend: name, volumeId, err: error }, "a volume is not given to the host that has it")
    },
  }
}

/** More than a process has by itself, as far as it may. */
function openFiles(): number {
  const [, hard = ""] = /^Max open files\s+\d+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? []
  return Math.min(openFilesMost, Number(hard) || openFilesMost)
}

/** Of engines that may have outlived their cloud. */
export function tgtdEngineNames(runDir: string): string[] {
  try {
    const files = readdirSync(join(runDir, "engines"))
    return files.filter((file) => file.startsWith(prefix)).map((file) => file.replace(/\.json$/, ""))
  } catch {
    return []
  }
}

/** Short enough for sockets, whatever back ends are called; their user gets there. */
export function tgtdSocket(runDir: string, cloudId: string, backEnd: string): string {
  const name = createHash("sha256").update(backEnd).digest("hex").slice(0, 8)
  const base = process.getuid?.() === 0 ? tgtdRunDir(cloudId) : join(runDir, "tgt")
  return join(base, name, "ctl")
}

export const tgtdRunDir = (cloudId: string) => `/run/kumoi-${cloudId}-tgt`
