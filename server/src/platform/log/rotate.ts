// Bounds the logs of a directory, ours and those of engines alike: what has grown too large is copied aside and cut.
// Whoever writes it has it open for appending and notices nothing, so nobody has to be told to open it again.
import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs"
import { copyFile } from "node:fs/promises"
import { join } from "node:path"
import type { LogBounds } from "./config.ts"
import type { Logger } from "./log.ts"

const everyMs = 10_000
/** Somebody has to keep these for as long as rules say. */
const never = new Set(["audit.log"])

/** Looks at the directory again and again until it is disposed. */
export function boundLogs(dir: string, bounds: LogBounds, log: Logger): Disposable {
  let isAtWork = false
  const look = async () => {
    if (isAtWork) return
    isAtWork = true
    await rotateLogs(dir, bounds).catch((error: unknown) =>
      log.warn({ err: error }, "logs were not put aside"),
    )
    isAtWork = false
  }
  const timer = setInterval(() => void look(), everyMs).unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

export async function rotateLogs(dir: string, { bytesMost, keep }: LogBounds): Promise<void> {
  for (const name of readdirSync(dir)) {
    if (never.has(name) || !/\.(log|out)$/.test(name)) continue
    const path = join(dir, name)
    const facts = statSync(path)
    if (facts.isFile() && facts.size > bytesMost) await putAside(path, keep)
  }
}

async function putAside(path: string, keep: number): Promise<void> {
  const fresh = `${path}.new`
  rmSync(`${path}.${keep}`, { force: true })
  try {
    await copyFile(path, fresh)
    appendRest(path, fresh)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw error
  }
  for (let n = keep - 1; n >= 1; n--) renameIfThere(`${path}.${n}`, `${path}.${n + 1}`)
  renameSync(fresh, `${path}.1`)
  truncateSync(path, 0)
}

/** What was written while the copy was made: in one go, so that little can come in between. */
function appendRest(path: string, copy: string): void {
  const at = statSync(copy).size
  const rest = Buffer.alloc(Math.max(0, statSync(path).size - at))
  const [from, to] = [openSync(path, "r"), openSync(copy, "a")]
  try {
    writeSync(to, rest.subarray(0, readSync(from, rest, 0, rest.length, at)))
  } finally {
    closeSync(from)
    closeSync(to)
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
  }
}
