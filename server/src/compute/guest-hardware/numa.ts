// The cells (NUMA nodes) of a guest, by Nova's rules and in its words.
import { badRequest } from "../faults.ts"
import { both, eachCpu, parseCpus, type Wishes, wholeNumber } from "./wishes.ts"

export interface GuestCell {
  cpus: readonly number[]
  memoryMib: number
}

const nodesMost = 128

/** `isImplied`: what is pinned and what is on pages of a kind has at least one cell. */
export function cellsOf(wishes: Wishes, isImplied: boolean): GuestCell[] {
  const nodes = nodesOf(wishes) ?? (isImplied ? 1 : null)
  if (nodes === null) return []
  const cpus = listOf(wishes, "hw:numa_cpus", parseCpus)
  const memory = listOf(wishes, "hw:numa_mem", (text) => wholeNumber("hw:numa_mem", text))
  if (cpus === null && memory === null) return evenCells(wishes, nodes)
  if (cpus?.length !== nodes || memory?.length !== nodes)
    throw badRequest("CPU and memory allocation must be provided for all NUMA nodes")
  const cells = cpus.map((own, node) => ({ cpus: own, memoryMib: memory[node] ?? 0 }))
  checkCells(wishes, cells)
  return cells
}

function nodesOf(wishes: Wishes): number | null {
  const { ofFlavor, ofImage } = both(wishes, "hw:numa_nodes")
  if (ofFlavor !== undefined && ofImage !== undefined) throw forbidden("hw_numa_nodes")
  const text = ofFlavor ?? ofImage
  if (text === undefined) return null
  if (!/^\s*\d{1,9}\s*$/.test(text) || Number(text) < 1)
    throw badRequest(`The property 'numa_nodes' cannot be '${text}'. It must be a number greater than 0`)
  return Number(text)
}

function forbidden(name: string) {
  return badRequest(
    `Image property '${name}' is not permitted to override NUMA configuration set against the flavor`,
  )
}

/** `hw:numa_cpus.0`, `hw:numa_cpus.1` and so on, up to the first that is missing. */
function listOf<T>(
  { specs, image }: Wishes,
  key: "hw:numa_cpus" | "hw:numa_mem",
  parse: (text: string) => T,
): T[] | null {
  const name = key.replace(":", "_")
  const [ofFlavor, ofImage] = [numbered(specs, key), numbered(image, name)]
  if (ofFlavor.length > 0 && ofImage.length > 0) throw forbidden(name)
  const texts = ofFlavor.length > 0 ? ofFlavor : ofImage
  return texts.length > 0 ? texts.map(parse) : null
}

function numbered(from: Readonly<Record<string, string>>, key: string): string[] {
  const found: string[] = []
  for (let node = 0; node < nodesMost; node++) {
    const text = from[`${key}.${node}`]
    if (text === undefined) break
    found.push(text)
  }
  return found
}

function evenCells(wishes: Wishes, nodes: number): GuestCell[] {
  const { vcpus, ramMib } = wishes
  if (vcpus % nodes > 0 || ramMib % nodes > 0)
    throw badRequest(
      "Instance CPUs and/or memory cannot be evenly distributed across instance NUMA nodes. Explicit assignment of " +
        "CPUs and memory to nodes is required",
    )
  const all = eachCpu(wishes)
  const each = vcpus / nodes
  return Array.from({ length: nodes }, (_, node) => ({
    cpus: all.slice(node * each, (node + 1) * each),
    memoryMib: ramMib / nodes,
  }))
}

function checkCells(wishes: Wishes, cells: readonly GuestCell[]): void {
  const { vcpus, ramMib } = wishes
  const free = new Set(eachCpu(wishes))
  for (const cpu of cells.flatMap(({ cpus }) => cpus)) {
    if (cpu >= vcpus) throw badRequest(`CPU number ${cpu} is larger than max ${vcpus - 1}`)
    if (!free.delete(cpu)) throw badRequest(`CPU number ${cpu} is assigned to two nodes`)
  }
  if (free.size > 0) throw badRequest(`CPU number {${[...free].join(", ")}} is not assigned to any node`)
  const memory = cells.reduce((sum, { memoryMib }) => sum + memoryMib, 0)
  if (memory !== ramMib) throw badRequest(`${memory} MB of memory assigned, but expected ${ramMib} MB`)
}
