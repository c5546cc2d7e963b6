// A restore that was interrupted before its database took the place of the cloud's: nothing of the cloud has changed.
import { existsSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { endLeftEngines } from "../../platform/supervise/supervisor.ts"
import { type CloudDir, halfRestored } from "../cloud-dir.ts"

/** Where a restore makes its database. */
export function restorePlaces(dir: CloudDir) {
  return {
    fresh: `${dir.postgresDir}.restoring`,
    socketDir: `${dir.postgresSocketDir}.r`,
    runDir: join(dir.runDir, "restore"),
  }
}

/** Under the cloud's lock. Resolves with whether there was something. */
export async function removeInterrupted(dir: CloudDir): Promise<boolean> {
  const { fresh, socketDir, runDir } = restorePlaces(dir)
  await endLeftEngines(runDir, ["postgres"])
  // initdb fills `.new` first.
  const found = [fresh, `${fresh}.new`, socketDir, runDir].filter((path) => existsSync(path))
  for (const path of found) await rm(path, { recursive: true, force: true })
  return found.length > 0
}

/** For `up`: the cloud goes on as it was before the restore; where there was none yet, none begins. */
export async function forgetInterrupted(dir: CloudDir, say: (line: string) => void): Promise<void> {
  const { fresh } = restorePlaces(dir)
  const isHalf = existsSync(fresh) || existsSync(`${fresh}.new`)
  if (isHalf && !existsSync(dir.postgresDir)) throw halfRestored(dir)
  if (await removeInterrupted(dir)) {
    say("a restore was interrupted before it changed anything; what it left is removed")
  }
}
