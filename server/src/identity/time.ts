import type { Ctx } from "../platform/context/context.ts"
import { invalid } from "../platform/fault/fault.ts"

const form = /^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?$/

/** A time as clients write it; UTC when no zone is named. Null for what is none. */
export function parseTime(text: string): Date | null {
  const match = form.exec(text.trim())
  if (!match) return null
  const date = new Date(`${match[1]?.replace(" ", "T")}${match[2] ?? "Z"}`)
  return Number.isNaN(date.getTime()) ? null : date
}

export interface Expiry {
  at: Date
  /** With the microseconds that the client gave, which a Date has not. */
  text: string
}

/** An end that lies ahead; null for none. */
export function readExpiry(ctx: Ctx, text: string | null | undefined): Expiry | null {
  if (text === undefined || text === null) return null
  const at = parseTime(text)
  if (!at) {
    throw invalid(
      "expires_at",
      `Invalid input for expires_at: ${JSON.stringify(text)} is not a time; write YYYY-MM-DDTHH:mm:ss.ssssssZ.`,
    )
  }
  if (at.getTime() <= ctx.clock.now().getTime()) {
    throw invalid("expires_at", "The expires_at must be in the future.")
  }
  const fraction = /\.(\d+)/.exec(text)?.[1]?.slice(0, 6).padEnd(6, "0") ?? "000000"
  return { at, text: `${at.toISOString().slice(0, 19)}.${fraction}Z` }
}
