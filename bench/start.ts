// How long a cloud takes to be there, and what it takes while nobody asks it anything.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { BenchCloud, type CloudOptions } from "./cloud.ts"
import type { Held } from "./held.ts"
import { noteIdleMemory } from "./processes.ts"
import type { Report } from "./report.ts"

/** Of any cloud, simulated or real. */
const targets = { coldSeconds: 8, warmSeconds: 2.5, idleMb: 350 }

const until = "to the first authenticated request"

/** Leaves the last of the clouds running. */
export async function measureStart(
  report: Report,
  held: Held,
  options: CloudOptions & { repeat: number },
): Promise<BenchCloud> {
  const { repeat, ...kind } = options
  report.add(`start, nothing compiled yet, ${until}`, [
    { name: "", value: await startWithoutCompileCache(held, kind), unit: "s" },
  ])
  const cold: number[] = []
  let cloud: BenchCloud | undefined
  for (let i = 0; i < repeat; i++) {
    const own = held.scope()
    cloud = await BenchCloud.prepare(own, kind)
    cold.push(await cloud.start())
    if (i < repeat - 1) await own[Symbol.asyncDispose]()
  }
  if (!cloud) throw new Error("repeat must be at least 1")
  report.addRuns(`start, cold (new data directory), ${until}`, cold, "s", {
    target: targets.coldSeconds,
  })
  const warm: number[] = []
  for (let i = 0; i < repeat; i++) {
    await cloud.stop()
    warm.push(await cloud.start())
  }
  report.addRuns(`start, warm (the same data directory), ${until}`, warm, "s", {
    target: targets.warmSeconds,
  })
  await noteIdleMemory(report, cloud, targets.idleMb)
  return cloud
}

/** As right after a clone: Node has no compiled modules of Kumoi. */
async function startWithoutCompileCache(held: Held, kind: CloudOptions): Promise<number> {
  const own = held.scope()
  let cacheDir = ""
  own.defer(() => cacheDir && rmSync(cacheDir, { recursive: true, force: true }))
  cacheDir = mkdtempSync(join(tmpdir(), "kumoi-bench-cache-"))
  const cloud = await BenchCloud.prepare(own, kind)
  const seconds = await cloud.start({ env: { NODE_COMPILE_CACHE: cacheDir } })
  await own[Symbol.asyncDispose]()
  return seconds
}
