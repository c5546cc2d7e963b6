// Which addresses to try for a port, before anything is known of what is in use: low ones, at random, so that many at
// once seldom want the same one; from ever wider ranges, because the low ones of a busy subnet are taken.
import { type Address, formatAddress, type IpVersion, parseAddress } from "../../platform/net/address.ts"

/** A range of addresses that are given out, both ends with it. */
export interface Pool {
  start: string
  end: string
}

/** All of the first so many are tried. */
const firstWindow = 64n
/** Of each further range, which is as long as all before it together, so many. */
const triesInRange = 8
/** A pool of IPv6 addresses does not end; a subnet with so many ports does not begin. */
const windowMax = 1n << 24n

/** At random, from 0 up to but without `below`. */
export type Random = (below: number) => number

export const systemRandom: Random = (below) => Math.floor(Math.random() * below)

/** Leaves the first window in its order: for what nobody competes for and users shall find in its usual place. */
export const lowestFirst: Random = (below) => below - 1

/** Addresses to try, in this order. None is outside the pools, and none is named twice. */
export function addressCandidates(pools: readonly Pool[], random: Random = systemRandom): string[] {
  const ranges = pools.map(rangeOf).sort((a, b) => (a.first < b.first ? -1 : 1))
  const size = ranges.reduce((sum, range) => sum + range.size, 0n)
  const offsets = shuffled(Number(min(size, firstWindow)), random)
  for (let start = firstWindow; start < min(size, windowMax); start *= 2n) {
    const length = Number(min(size, start * 2n) - start)
    const tries = new Set<number>()
    for (let i = 0; i < Math.min(triesInRange, length); i++) tries.add(random(length))
    for (const offset of tries) offsets.push(Number(start) + offset)
  }
  return offsets.map((offset) => addressAt(ranges, BigInt(offset)))
}

interface Range {
  version: IpVersion
  first: bigint
  size: bigint
}

function rangeOf(pool: Pool): Range {
  const [first, last] = [parseAddress(pool.start), parseAddress(pool.end)]
  if (!first || !last) throw new Error(`a pool from ${pool.start} to ${pool.end}`)
  return { version: first.version, first: first.value, size: last.value - first.value + 1n }
}

function addressAt(ranges: readonly Range[], offset: bigint): string {
  let before = 0n
  for (const range of ranges) {
    if (offset < before + range.size) {
      const address: Address = { version: range.version, value: range.first + offset - before }
      return formatAddress(address)
    }
    before += range.size
  }
  throw new Error(`no address at ${offset}`)
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

/** The numbers below `count`, in any order (Fisher and Yates). */
function shuffled(count: number, random: Random): number[] {
  const numbers = Array.from({ length: count }, (_, i) => i)
  for (let at = count - 1; at > 0; at--) {
    const other = random(at + 1)
    const [a, b] = [numbers[at], numbers[other]]
    if (a === undefined || b === undefined) throw new Error("within the bounds")
    numbers[at] = b
    numbers[other] = a
  }
  return numbers
}
