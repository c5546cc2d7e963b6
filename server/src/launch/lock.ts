// One process a data directory. A lock file names its owner by pid and start time, so a dead owner's lock is free.
//
// Locks are numbered: PATH.1, PATH.2 … The highest one counts, and whoever finds its owner dead makes the next. No
// starter removes a lock that another one may just have made in place of the dead one: `link` lets one of them win.
import {
  closeSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from "node:fs"
import { basename, dirname } from "node:path"
import { identifyProcess, isProcessAlive, type ProcessIdentity } from "../platform/exec/process.ts"
import { Fault } from "../platform/fault/fault.ts"

export function alreadyRunning(pid: number): Fault {
  return new Fault("conflict", "cli.already_running", `This cloud is being run by process ${pid} already.`)
}

export function acquireLock(path: string): Disposable {
  const identity = identifyProcess(process.pid)
  if (!identity) throw new Error("cannot read /proc/self/stat")
  const mine = `${path}.mine-${process.pid}`
  const file = openSync(mine, "w", 0o600)
  writeSync(file, JSON.stringify(identity))
  closeSync(file)
  try {
    return takeNext(path, mine)
  } finally {
    unlinkSync(mine)
  }
}

function takeNext(path: string, mine: string): Disposable {
  for (;;) {
    const highest = numbersOf(path).at(-1) ?? 0
    // Before locks had numbers there was PATH itself.
    const owner = readOwner(highest === 0 ? path : `${path}.${highest}`)
    if (owner && isProcessAlive(owner)) {
      throw alreadyRunning(owner.pid)
    }
    const next = `${path}.${highest + 1}`
    try {
      // link() fails when the name is taken: an atomic "create with content".
      linkSync(mine, next)
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") continue
      throw error
    }
    // While we looked, this very number may have been taken, left and removed: then there is a higher one.
    if (numbersOf(path).at(-1) !== highest + 1) {
      unlinkSync(next)
      continue
    }
    for (const number of numbersOf(path)) if (number <= highest) rmSync(`${path}.${number}`, { force: true })
    // Emptied and not removed, so that the numbers go on.
    return { [Symbol.dispose]: () => emptyLock(next) }
  }
}

function emptyLock(path: string): void {
  try {
    truncateSync(path)
  } catch {
    // The data directory is gone (`down --purge`), and the lock with it.
  }
}

/** In rising order. */
function numbersOf(path: string): number[] {
  const prefix = `${basename(path)}.`
  const numbers = readdirSync(dirname(path)).flatMap((name) => {
    const number = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : Number.NaN
    return Number.isInteger(number) ? [number] : []
  })
  return numbers.sort((a, b) => a - b)
}

function readOwner(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8"))
  } catch {
    return undefined
  }
}
