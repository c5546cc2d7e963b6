// What whoever works does when the lock on the database is lost.
import type { Logger } from "../../platform/log/log.ts"
import type { CloudDir } from "../cloud-dir.ts"
import { readMembership } from "../joined/membership.ts"
import { type HeldLock, type LockOptions, LockSeeker } from "./lock.ts"

/** Neither a good end nor a start that failed: the parent starts the process again, which may stand by then. */
const lockLostExitCode = 71
const lookAgainMs = 500

interface Keeping extends LockOptions {
  dir: CloudDir
  log: Logger
}

/**
 * One control host of several ends at once: another one works now, or soon. Its sagas' leases end, and what it still
 * says to agents is refused by the fence. Where no other can work the lock is taken again as soon as the database is
 * back.
 */
export function keepHeld(first: HeldLock, keeping: Keeping): AsyncDisposable {
  const { dir, log } = keeping
  const stop = new AbortController()
  let held = first
  const end = (why: string) => {
    log.fatal({ why }, "the lock on the database is lost, and another may work: the process ends")
    log.flush()
    process.exit(lockLostExitCode)
  }
  const watch = (lock: HeldLock): void => {
    held = lock
    void lock.lost.then(async (why) => {
      if (stop.signal.aborted) return
      if (readMembership(dir.path)?.isControl) return end(why)
      log.warn({ why }, "the lock on the database is lost")
      const again = await takeAgain(keeping, stop.signal)
      if (again === "taken") return end("another cloud works on this database")
      if (again) watch(again)
    })
  }
  watch(first)
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await held[Symbol.asyncDispose]()
    },
  }
}

/** Null: not needed any more. */
async function takeAgain(how: LockOptions, signal: AbortSignal): Promise<HeldLock | "taken" | null> {
  await using seeker = new LockSeeker(how)
  while (!signal.aborted) {
    try {
      return (await seeker.take()) ?? "taken"
    } catch {
      await new Promise((resolve) => setTimeout(resolve, lookAgainMs))
    }
  }
  return null
}
