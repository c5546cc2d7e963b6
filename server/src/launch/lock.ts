// One process a data directory. The lock file names its owner by pid and start time, so a dead owner's lock is free.
import { closeSync, linkSync, openSync, readFileSync, rmSync, unlinkSync, writeSync } from "node:fs"
import { identifyProcess, isProcessAlive, type ProcessIdentity } from "../platform/exec/process.ts"
import { Fault } from "../platform/fault/fault.ts"

export function acquireLock(path: string): Disposable {
  const identity = identifyProcess(process.pid)
  if (!identity) throw new Error("cannot read /proc/self/stat")
  const mine = `${path}.${process.pid}`
  const file = openSync(mine, "w", 0o600)
  writeSync(file, JSON.stringify(identity))
  closeSync(file)
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        // link() fails when the name is taken: an atomic "create with content".
        linkSync(mine, path)
        return { [Symbol.dispose]: () => rmSync(path, { force: true }) }
      } catch {
        const owner = readOwner(path)
        if (owner && isProcessAlive(owner)) {
          throw new Fault(
            "conflict",
            "cli.already_running",
            `This cloud is being run by process ${owner.pid} already.`,
          )
        }
        rmSync(path, { force: true })
      }
    }
    throw new Fault(
      "conflict",
      "cli.already_running",
      `Another process is starting this cloud now (${path}).`,
    )
  } finally {
    unlinkSync(mine)
  }
}

function readOwner(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8"))
  } catch {
    return undefined
  }
}
