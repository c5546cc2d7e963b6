// Paths and queries as they come, before any route sees them.
import { invalid } from "../fault/fault.ts"

const origin = /^https?:\/\/[^/?]*/i

/**
 * The address in one form: without the origin that a proxy's client writes, and without doubled slashes (joined from an
 * endpoint that ends with one). What the query holds stays. Bytes beyond ASCII never come: Node refuses them.
 */
export function plainUrl(url: string): string {
  const own = url.replace(origin, "") || "/"
  const end = own.indexOf("?")
  const path = end < 0 ? own : own.slice(0, end)
  if (!path.includes("//")) return own
  return path.replaceAll(/\/{2,}/g, "/") + (end < 0 ? "" : own.slice(end))
}

const escapes = /(?:%[0-9a-f]{2})+/gi

/** 400 for what no text of ours may hold: the character U+0000 (PostgreSQL has none), and bytes that are not UTF-8. */
export function checkUrl(url: string): void {
  if (!url.includes("%")) return
  for (const [run] of url.matchAll(escapes)) {
    if (/%00/.test(run)) throw invalid("url", "The address of the request holds the character U+0000.")
    try {
      decodeURIComponent(run)
    } catch {
      throw invalid("url", `The address of the request holds ${run}, which is not UTF-8.`)
    }
  }
}
