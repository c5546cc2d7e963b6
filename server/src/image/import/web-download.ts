// Reads an image from the web. It asks from within the cloud's own network, so only named hosts are asked, and what a
// redirect points to is judged like what the user said.
import type { Config } from "../../platform/config/config.ts"
import { downloadFailed } from "../faults.ts"

const redirectsMost = 3

/** Why the address may not be asked; null when it may. */
export function refuseAddress(uri: string, config: Pick<Config, "image">): string | null {
  const url = URL.parse(uri)
  if (!url) return "it is not an address"
  if (url.protocol !== "http:" && url.protocol !== "https:") return "only http and https can be read"
  if (url.username || url.password) return "an address must not name a user"
  const allowed = config.image.webDownloadHosts
  if (allowed.includes("*") || allowed.includes(url.hostname)) return null
  return `host ${url.hostname} is none of those that may be asked (${allowed.join(", ") || "none"})`
}

/** Whether the words have the form of an address that a web-download could read. */
export function isWebAddress(uri: string): boolean {
  const url = URL.parse(uri)
  return url !== null && (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== ""
}

export async function openDownload(
  uri: string,
  config: Pick<Config, "image">,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  let address = uri
  for (let hop = 0; hop <= redirectsMost; hop++) {
    const refused = refuseAddress(address, config)
    if (refused) throw downloadFailed(uri, refused)
    const response = await ask(uri, address, signal)
    const target = response.headers.get("location")
    if (response.status >= 300 && response.status < 400 && target) {
      await response.body?.cancel()
      address = new URL(target, address).toString()
      continue
    }
    if (response.status !== 200 || !response.body) {
      await response.body?.cancel()
      throw downloadFailed(uri, `the server answered ${response.status}`)
    }
    return response.body
  }
  throw downloadFailed(uri, `there are more than ${redirectsMost} redirects`)
}

async function ask(uri: string, address: string, signal: AbortSignal): Promise<Response> {
  try {
    // As stored: an encoding for the way would be undone before it is hashed.
    return await fetch(address, { redirect: "manual", signal, headers: { "accept-encoding": "identity" } })
  } catch (error) {
    signal.throwIfAborted()
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
    throw downloadFailed(uri, cause)
  }
}
