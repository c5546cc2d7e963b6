// HTTP ranges (RFC 9110) of one image: a single range of bytes, or none.
import { rangeNotSatisfiable } from "../faults.ts"

export interface ByteRange {
  start: number
  /** The last byte, inclusive. */
  end: number
}

/** `bytes=0-9`, `bytes=10-`, `bytes=-5`; throws for all else and for what lies behind the end. */
export function parseRange(text: string, sizeBytes: number): ByteRange {
  // Without the blanks first: the pattern would try all ways to share them.
  const match = /^bytes ?= ?(\d*) ?- ?(\d*)$/i.exec(text.trim().replaceAll(/\s+/g, " "))
  const [, first = "", last = ""] = match ?? []
  if (!match || (first === "" && last === "")) throw rangeNotSatisfiable(text, sizeBytes)
  if (first === "") {
    const length = Number(last)
    if (length === 0 || sizeBytes === 0) throw rangeNotSatisfiable(text, sizeBytes)
    return { start: Math.max(0, sizeBytes - length), end: sizeBytes - 1 }
  }
  const start = Number(first)
  const end = last === "" ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1)
  if (start >= sizeBytes || (last !== "" && Number(last) < start)) throw rangeNotSatisfiable(text, sizeBytes)
  return { start, end }
}

/** `bytes 0-9/100`, which old clients send in requests instead of `Range`. */
export function parseContentRange(text: string, sizeBytes: number): ByteRange {
  const match = /^\s*bytes\s+(\d+)-(\d+)\/(\d+|\*)\s*$/i.exec(text)
  const [start, end] = [Number(match?.[1]), Number(match?.[2])]
  if (!match || start > end || end >= sizeBytes) throw rangeNotSatisfiable(text, sizeBytes)
  return { start, end }
}
