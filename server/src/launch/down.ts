// `kumoi down`: stops everything, keeps the data. Works as well when the cloud's process is dead already.
import { isDiskFull } from "../platform/exec/disk-full.ts"
import { endProcess } from "../platform/exec/process.ts"
import {
  openCloudDir,
  readFacts,
  readMainState,
  removeMainState,
  type StopRequest,
  stopRequestPath,
  writeJson,
} from "./cloud-dir.ts"
import { removeLeftovers } from "./leftovers.ts"
import { command, dataDirOf, dataOption, numberOption, type OptionSpecs } from "./options.ts"
import { readParent } from "./parent.ts"
import { purge } from "./purge.ts"

const specs = {
  ...dataOption,
  purge: { type: "boolean", help: "remove the data as well; what others put into DIR stays" },
  grace: {
    type: "string",
    value: "SECONDS",
    help: "time for guests to power off by themselves (default 20)",
  },
} as const satisfies OptionSpecs

/** On a full disk the wish cannot be left there; guests get the usual time then. */
function askForGrace(path: string, graceSeconds: number): void {
  try {
    writeJson(path, { graceMs: graceSeconds * 1000 } satisfies StopRequest, 0o600)
  } catch (error) {
    if (!isDiskFull(error)) throw error
    process.stdout.write("the disk is full: guests get the usual time to power off\n")
  }
}

const about = { usage: "down [options]", what: "Stops everything, keeps the data.", specs }

export const down = command(about, async (options) => {
  const dataDir = dataDirOf(options)
  const graceSeconds = numberOption(options, "grace", { min: 0, max: 600 }) ?? 20
  const facts = readFacts(dataDir)
  if (!facts) {
    process.stdout.write(`There is no cloud in ${dataDir}.\n`)
    return options.flag("purge") ? 0 : 1
  }
  const dir = openCloudDir(dataDir, { canPostgresReach: () => true })
  const parent = readParent(dataDir)
  const running = readMainState(dataDir)
  if (running || parent) {
    const pid = running?.identity.pid ?? parent?.pid
    process.stdout.write(`stopping the cloud in ${dataDir} (process ${pid}) ...\n`)
    askForGrace(stopRequestPath(dir), graceSeconds)
    // The process stops guests, engines and the network itself; it needs more time than the guests get.
    const graceMs = (graceSeconds + 60) * 1000
    // The parent first: it hands the signal on, starts none again, and ends when the process has ended.
    if (parent) await endProcess(parent, { graceMs })
    // The one that may have been started a moment ago, or that lost its parent.
    const left = readMainState(dataDir)
    if (left) await endProcess(left.identity, { graceMs })
    removeMainState(dir)
  }
  // What a killed process left: engines, machines, namespaces. Nothing to do after a clean stop.
  const left = await removeLeftovers(dir)
  for (const line of left) process.stdout.write(`${line}\n`)
  if (options.flag("purge")) {
    const stays = purge(dir)
    process.stdout.write(
      stays.length === 0
        ? `removed ${dataDir}\n`
        : `removed the cloud's data from ${dataDir}; not the cloud's, so they stay: ${stays.join(", ")}\n`,
    )
  }
  process.stdout.write("The cloud is down.\n")
  return 0
})
