import type { GuestHardware, HostDescription } from "../../../agent/protocol.ts"
import type { Filter, Refusal } from "./filter.ts"

/** What a guest is to have beyond the ordinary: cells, pages of a kind, processors of its own, bounds of their time. */
export const guestHardwareFilter: Filter = {
  name: "GuestHardware",
  needs: ["description"],
  isAsked: ({ hardware }) => hardware.machine !== null,
  refuse: ({ description }, { hardware: { machine } }) =>
    machine === null ? null : refusalBy(description?.guestHardware, machine),
}

function refusalBy(host: HostDescription["guestHardware"], machine: GuestHardware): Refusal | null {
  if (!host)
    return refusal(
      "its program is older than guests with cells, pages or bounds of their own",
      "update the host",
    )
  if (machine.cpuLimits && host.cpuLimitsProblem !== null)
    return refusal(
      `it cannot bound processor time: ${host.cpuLimitsProblem}`,
      null,
      "it cannot bound processor time",
    )
  return machine.pageSize === undefined ? null : pagesRefusal(host, machine, machine.pageSize)
}

function pagesRefusal(
  { pages }: NonNullable<HostDescription["guestHardware"]>,
  { cells = [] }: GuestHardware,
  wanted: NonNullable<GuestHardware["pageSize"]>,
): Refusal | null {
  if (wanted === "any") return null
  const own = pages.filter(({ sizeKib }) => wanted === "large" || wanted === sizeKib)
  const kind = wanted === "large" ? "pages larger than 4 KiB" : `pages of ${wanted} KiB`
  if (own.every(({ total }) => total === 0))
    return refusal(`it has no ${kind}`, "vm.nr_hugepages of the host")
  const neededKib = cells.reduce((sum, { memoryMib }) => sum + memoryMib * 1024, 0)
  if (
    own.some(
      ({ sizeKib, free }) =>
        cells.every((cell) => (cell.memoryMib * 1024) % sizeKib === 0) && free * sizeKib >= neededKib,
    )
  )
    return null
  return refusal(
    `of its ${kind} there are not enough free for ${neededKib} KiB, or the guest's memory is no whole number of them`,
    "more of vm.nr_hugepages of the host",
    `it has not enough ${kind} free`,
  )
}

function refusal(why: string, fix: string | null, forUser = why): Refusal {
  return { why, fix, forUser }
}
