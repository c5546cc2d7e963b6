// The process behind `up --detach`: tells its progress on descriptor 3 and stays.
import { closeSync, writeSync } from "node:fs"
import { describeError, Fault } from "../platform/fault/fault.ts"
import { readOptions } from "./options.ts"
import { runHere } from "./run-here.ts"
import type { Progress } from "./up.ts"
import { readUpOptions, upOptionSpecs } from "./up-options.ts"

const progressDescriptor = 3

export async function serve(args: string[]): Promise<number> {
  const tell = (progress: Progress) => {
    try {
      writeSync(progressDescriptor, `${JSON.stringify(progress)}\n`)
    } catch {
      // Whoever started us has gone; the cloud goes on.
    }
  }
  try {
    const cloud = await runHere(readUpOptions(readOptions(args, upOptionSpecs)), (text) =>
      tell({ kind: "step", text }),
    )
    tell({ kind: "ready", summary: cloud.summary })
    // It is the parent's as well, which keeps it.
    closeSync(progressDescriptor)
    await cloud.ended
    return 0
  } catch (error) {
    tell({ kind: "failed", message: error instanceof Fault ? error.message : describeError(error) })
    throw error
  }
}
