// A process of `up` in a directory, whatever it runs there: the only one of the directory, with its log, and with one way
// of what becomes of guests and engines when its start fails.
import { join } from "node:path"
import { Fault } from "../platform/fault/fault.ts"
import { createLogger, type Logger } from "../platform/log/log.ts"
import { acquireCloudLock, type CloudDir } from "./cloud-dir.ts"
import { isContinuation } from "./leftovers.ts"
import { endWhenUncaught } from "./parent.ts"

export interface StartParts {
  log: Logger
  /** All that ends with the process. */
  stack: AsyncDisposableStack
  signal: Promise<NodeJS.Signals>
  /** Whether guests and engines stay as they are at the end, for a start that succeeds. */
  isLeft: () => boolean
}

/** What was started ends when `start` throws. */
export async function startIn<T>(
  dir: CloudDir,
  say: (line: string) => void,
  start: (parts: StartParts) => Promise<T>,
): Promise<T> {
  const stack = new AsyncDisposableStack()
  stack.use(acquireCloudLock(dir))
  const signal = firstSignal()
  const isContinued = isContinuation(dir)
  let isLeft = false
  try {
    const log = createLogger({
      file: join(dir.logDir, "kumoi.log"),
      level: process.env.KUMOI_LOG_LEVEL ?? "info",
    })
    endWhenUncaught(log)
    return await start({ log, stack, signal, isLeft: () => isLeft })
  } catch (error) {
    // Guests that ran before this start run on after it, for a start that succeeds.
    isLeft = isContinued && !isInterruption(error)
    say(isLeft ? "leaving guests and engines as they are" : "stopping what was started")
    await stack.disposeAsync()
    throw error
  }
}

/** SIGTERM or SIGINT, whichever comes first; from then on neither ends the process by itself. */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve(signal))
  })
}

const interruption = "cli.interrupted"

/** Ctrl-C in the middle of a start leaves no half-started cloud. */
export async function interrupted(signal: Promise<NodeJS.Signals>): Promise<never> {
  const name = await signal
  throw new Fault("precondition", interruption, `Stopped by ${name} before the cloud was running.`)
}

function isInterruption(error: unknown): boolean {
  return error instanceof Fault && error.code === interruption
}
