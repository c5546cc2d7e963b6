// A guest's memory: in one piece, or in the cells that its flavor asks for. Pure.
import { cpuRanges } from "../../../platform/cpu-set/cpu-set.ts"
import type { VmSpec } from "../../protocol.ts"
import { keyValues } from "./devices.ts"

/** `pageKib` null: the host's usual pages. */
export function guestMemory({ ramMib, hardware }: VmSpec, pageKib: number | null): string[] {
  const size = ["-m", `size=${ramMib}M`]
  const cells = (hardware?.cells ?? []).flatMap(({ cpus, memoryMib }, node) => {
    const id = `ram-node${node}`
    // All of it at once: a page that is missing later would end the guest.
    const pages = { hugetlb: true, hugetlbsize: `${pageKib}K`, prealloc: true }
    const backend =
      pageKib === null
        ? keyValues("memory-backend-ram", { id, size: `${memoryMib}M` })
        : keyValues("memory-backend-memfd", { id, size: `${memoryMib}M`, ...pages })
    const own = cpuRanges(cpus).map((range) => `,cpus=${range}`)
    return ["-object", backend, "-numa", `node,nodeid=${node}${own.join("")},memdev=${id}`]
  })
  return [...size, ...cells]
}
