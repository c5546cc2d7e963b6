// How many sockets, cores and threads a guest sees, by Nova's rules and in its words.
import { badRequest } from "../faults.ts"
import { both, type Wishes, wholeNumber } from "./wishes.ts"

export interface CpuTopology {
  sockets: number
  cores: number
  threads: number
}

const kinds = ["sockets", "cores", "threads"] as const
const unlimited = 65_536

/** What is preferred is had if it comes out even; else what is nearest to it within the limits. */
export function cpuTopologyOf(wishes: Wishes): CpuTopology {
  const { wanted, most } = constraintsOf(wishes)
  const possible = possibleOf(wishes.vcpus, most)
  const score = (one: CpuTopology) =>
    kinds.filter((kind) => wanted[kind] > 0 && wanted[kind] === one[kind]).length
  const [best] = possible.toSorted((a, b) => score(b) - score(a))
  if (best) return best
  throw badRequest(
    `Requested vCPU limits ${kinds.map((kind) => Math.min(most[kind], wishes.vcpus)).join(":")} are impossible to ` +
      `satisfy for vcpus count ${wishes.vcpus}`,
  )
}

function constraintsOf(wishes: Wishes): { wanted: CpuTopology; most: CpuTopology } {
  const limits = {
    sockets: both(wishes, "hw:cpu_max_sockets"),
    cores: both(wishes, "hw:cpu_max_cores"),
    threads: both(wishes, "hw:cpu_max_threads"),
  }
  const [flavorMost, imageMost] = [numbersOf(limits, "ofFlavor"), numbersOf(limits, "ofImage")]
  if (kinds.some((kind) => flavorMost[kind] > 0 && imageMost[kind] > flavorMost[kind]))
    throw badRequest(
      `Image vCPU topology limits (${words(imageMost)}) exceeds the limits of the flavor (${words(flavorMost)})`,
    )
  const most = mapped((kind) => imageMost[kind] || flavorMost[kind] || unlimited)
  const preferred = {
    sockets: both(wishes, "hw:cpu_sockets"),
    cores: both(wishes, "hw:cpu_cores"),
    threads: both(wishes, "hw:cpu_threads"),
  }
  const [ofFlavor, ofImage] = [numbersOf(preferred, "ofFlavor"), numbersOf(preferred, "ofImage")]
  const exceeds = (one: CpuTopology) => kinds.some((kind) => one[kind] > most[kind])
  if (exceeds(ofImage))
    throw badRequest(
      `Image vCPU topology (${words(ofImage)}) exceeds the limits of the flavor or image (${words(most)})`,
    )
  const hasOwn = kinds.some((kind) => ofImage[kind] > 0)
  const wanted = hasOwn ? ofImage : exceeds(ofFlavor) ? mapped(() => 0) : ofFlavor
  return { wanted, most }
}

/** Most sockets first, as Nova has them. */
function possibleOf(vcpus: number, most: CpuTopology): CpuTopology[] {
  const found = divisorsOf(vcpus).flatMap((sockets) =>
    divisorsOf(vcpus / sockets).map((cores) => ({ sockets, cores, threads: vcpus / sockets / cores })),
  )
  return found
    .filter((one) => kinds.every((kind) => one[kind] <= most[kind]))
    .toSorted((a, b) => b.sockets * b.cores - a.sockets * a.cores || b.sockets - a.sockets)
}

/** In pairs: a flavor may have two thousand million processors, which no host has. */
function divisorsOf(number: number): number[] {
  const found = new Set<number>()
  for (let one = 1; one * one <= number; one++) if (number % one === 0) found.add(one).add(number / one)
  return [...found]
}

function mapped(number: (kind: (typeof kinds)[number]) => number): CpuTopology {
  return { sockets: number("sockets"), cores: number("cores"), threads: number("threads") }
}

type Texts = Readonly<Record<keyof CpuTopology, { ofFlavor?: string; ofImage?: string }>>

function numbersOf(texts: Texts, by: "ofFlavor" | "ofImage"): CpuTopology {
  return mapped((kind) => {
    const text = texts[kind][by]
    return text === undefined ? 0 : Math.max(0, wholeNumber(`cpu_${kind}`, text))
  })
}

const words = (one: CpuTopology) => kinds.map((kind) => `${kind}=${one[kind]}`).join(", ")
