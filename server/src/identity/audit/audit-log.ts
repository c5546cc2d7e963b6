// The audit records of this host as lines of JSON in a file of its own. The outbox is the record that programs follow
// and that survives every crash; this one is for people, and is there without a bus.
import { appendFile, mkdir, rename, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { describeError } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"

export interface AuditLog {
  /** Written soon; never waited for. */
  write(record: object): void
  /** Waits for what was given so far. */
  flush(): Promise<void>
}

export interface AuditLogOptions {
  path: string
  /** A file that has grown beyond this is set aside. */
  bytesMax: number
  /** Files that are kept beside the one that is written. */
  filesKept: number
  log: Logger
}

/** Lines that wait for the disk; more are lost, and the loss is logged. */
const linesWaitingMax = 10_000

export function createAuditLog(options: AuditLogOptions): AuditLog {
  const { path, log } = options
  let waiting: string[] = []
  let lost = 0
  let writing: Promise<void> | null = null
  const drain = async () => {
    await mkdir(dirname(path), { recursive: true })
    while (waiting.length > 0) {
      await setAside(options)
      const lines = waiting
      waiting = []
      try {
        // Opened anew each time: another process of this host may have set the file aside.
        await appendFile(path, `${lines.join("\n")}\n`, { mode: 0o600 })
      } catch (error) {
        waiting = [...lines, ...waiting]
        throw error
      }
    }
    if (lost > 0) log.error({ lost, path }, "audit: records were lost, the disk did not take them in time")
    lost = 0
  }
  const begin = () => {
    if (writing) return
    const end = (isWell: boolean) => {
      writing = null
      // What was given between the last look and now. After a failure the next record tries again.
      if (isWell && waiting.length > 0) begin()
    }
    writing = drain().then(
      () => end(true),
      (error: unknown) => {
        log.error({ why: describeError(error), path }, "audit: cannot write the log")
        end(false)
      },
    )
  }
  return {
    write(record) {
      if (waiting.length >= linesWaitingMax) lost++
      else waiting.push(JSON.stringify(record))
      begin()
    },
    async flush() {
      while (writing) await writing
    },
  }
}

/** `audit.log` becomes `audit.log.1`, that one `audit.log.2`; the last of them is overwritten. */
async function setAside({ path, bytesMax, filesKept }: AuditLogOptions): Promise<void> {
  const found = await stat(path).catch(() => null)
  if (!found || found.size < bytesMax) return
  for (let n = filesKept - 1; n >= 1; n--) await rename(`${path}.${n}`, `${path}.${n + 1}`).catch(() => {})
  if (filesKept > 0) await rename(path, `${path}.1`).catch(() => {})
}
