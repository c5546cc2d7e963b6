// Reads an image from the web, as the operator's rules allow (platform/net/open-url.ts).
import type { Config } from "../../platform/config/config.ts"
import { OpenRefused, type OpenRules, openUrl } from "../../platform/net/open-url.ts"
import { readRanges } from "../../platform/net/ranges.ts"
import { dataTooLarge, downloadFailed } from "../faults.ts"

const redirectsMost = 3
const uriLengthMost = 2048

/** Whether the words have the form of an address that a web-download could read. */
export function isWebAddress(uri: string): boolean {
  const url = uri.length <= uriLengthMost ? URL.parse(uri) : null
  return url !== null && (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== ""
}

export function downloadRules({ image }: Pick<Config, "image">): OpenRules {
  return {
    hosts: image.webDownloadHosts,
    ports: image.webDownloadPorts,
    ranges: readRanges(image.webDownloadCidrs, "image.webDownloadCidrs"),
    idleMs: image.webDownloadTimeoutMs,
    deadlineMs: image.webDownloadDeadlineMs,
    redirectsMost,
  }
}

/** The data as they come; reading them may fail with the same fault. */
export async function openDownload(
  uri: string,
  config: Pick<Config, "image">,
  how: { signal: AbortSignal; limitBytes: number },
): Promise<AsyncIterable<Uint8Array>> {
  const opened = await openAddress(uri, config, { signal: how.signal })
  if ((opened.sizeBytes ?? 0) > how.limitBytes) {
    await opened.close()
    throw dataTooLarge(how.limitBytes)
  }
  return opened.body
}

export interface OpenedAddress {
  sizeBytes: number | null
  body: AsyncIterable<Uint8Array>
  /** For who does not read it to its end. */
  close(): Promise<void>
}

/** From this byte on. */
export async function openAddress(
  uri: string,
  config: Pick<Config, "image">,
  how: { signal: AbortSignal; from?: number },
): Promise<OpenedAddress> {
  const explain = (error: unknown) =>
    error instanceof OpenRefused ? downloadFailed(uri, error.message) : error
  const stop = new AbortController()
  const signal = AbortSignal.any([how.signal, stop.signal])
  const opened = await openUrl(uri, downloadRules(config), { ...how, signal }).catch((error: unknown) => {
    throw explain(error)
  })
  return {
    sizeBytes: opened.sizeBytes,
    body: explained(opened.body, explain),
    close: async () => stop.abort(new Error("it is not read any more")),
  }
}

async function* explained(body: AsyncIterable<Uint8Array>, explain: (error: unknown) => unknown) {
  try {
    yield* body
  } catch (error) {
    throw explain(error)
  }
}
