// Pages of memory that are larger than the usual ones: what the host has set aside for them.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { agentStartFailed } from "../../faults.ts"
import type { HostDescription, VmSpec } from "../../protocol.ts"

export type HostPages = NonNullable<HostDescription["guestHardware"]>["pages"]

/** The largest first. */
export function readHostPages(root = "/sys/kernel/mm/hugepages"): HostPages {
  return directoriesOf(root)
    .flatMap((name) => {
      const sizeKib = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1])
      if (!sizeKib) return []
      return [{ sizeKib, total: count(join(root, name, "nr_hugepages")), free: freeOf(join(root, name)) }]
    })
    .sort((a, b) => b.sizeKib - a.sizeKib)
}

/** What others have reserved is taken, although it counts as free until they touch it. */
function freeOf(path: string): number {
  return Math.max(0, count(join(path, "free_hugepages")) - count(join(path, "resv_hugepages")))
}

function directoriesOf(root: string): string[] {
  try {
    return readdirSync(root)
  } catch {
    return []
  }
}

function count(path: string): number {
  return Number(readFileSync(path, "utf8").trim())
}

/** For this machine; null: the usual ones. */
export function choosePages({ serverId, hardware }: VmSpec, pages: HostPages): number | null {
  const wanted = hardware?.pageSize
  if (wanted === undefined) return null
  const cells = hardware?.cells ?? []
  const neededKib = cells.reduce((sum, { memoryMib }) => sum + memoryMib * 1024, 0)
  const fitting = pages.find(
    ({ sizeKib, free }) =>
      (typeof wanted !== "number" || sizeKib === wanted) &&
      free * sizeKib >= neededKib &&
      cells.every(({ memoryMib }) => (memoryMib * 1024) % sizeKib === 0),
  )
  if (fitting) return fitting.sizeKib
  if (wanted === "any") return null
  const kind = wanted === "large" ? "pages larger than the usual ones" : `pages of ${wanted} KiB`
  throw agentStartFailed(serverId, `the host has not enough ${kind} free for ${neededKib} KiB`)
}
