// Sets of processors as people write them: `0-3,^2`.

/** The last number that one may have, and one more. */
export const cpusMost = 4_096

/** In order; what is no such set is told as text. */
export function parseCpuSet(text: string): number[] | { mistake: string } {
  const [added, removed] = [new Set<number>(), new Set<number>()]
  for (const part of text.split(",").map((one) => one.trim())) {
    if (part === "") continue
    const [, not, first, last] = /^(\^?)\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?$/.exec(part) ?? []
    if (first === undefined) return { mistake: `Invalid inclusion expression '${part}'` }
    const [from, to] = [Number(first), Number(last ?? first)]
    if (from > to || to >= cpusMost) return { mistake: `Invalid range expression '${part}'` }
    for (let cpu = from; cpu <= to; cpu++) (not ? removed : added).add(cpu)
  }
  return [...added].filter((cpu) => !removed.has(cpu)).sort((a, b) => a - b)
}

/** 0, 1, 2, 5 → `0-2`, `5`. */
export function cpuRanges(cpus: readonly number[]): string[] {
  const ranges: [number, number][] = []
  for (const cpu of cpus.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && last[1] === cpu - 1) last[1] = cpu
    else ranges.push([cpu, cpu])
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`))
}
