// Where WebSockets to consoles come in, in every process that answers: at the consoles' own paths, and where a stock
// noVNC looks. A page of somebody else's must not connect for whoever looks at it.
import type { Config } from "../../platform/config/config.ts"
import { createOrigins } from "../../platform/http/origin.ts"
import { refuseUpgrade, type TakeUpgrade, type UpgradeHandler } from "../../platform/http/upgrade.ts"
import { consoleOriginForeign } from "../faults.ts"
import { consolePaths } from "./type.ts"
import "./config.ts"

/** Where the pages are. */
export const consoleRoots = ["/console"] as const

const paths: ReadonlySet<string> = new Set([...Object.values(consolePaths), "/websockify"])

export function consoleEntrance(
  config: Pick<Config, "publicUrl" | "host" | "http" | "console">,
  take: TakeUpgrade,
): UpgradeHandler {
  const origins = createOrigins(config)
  return {
    takes: ({ url = "/", headers }) =>
      headers.upgrade?.toLowerCase() === "websocket" && paths.has(url.split("?")[0] ?? ""),
    take: (request, socket, head) => {
      const { origin } = request.headers
      if (isOwn(origin, origins.baseUrlOf(request), config)) take(request, socket, head)
      else refuseUpgrade(socket, 403, consoleOriginForeign(String(origin).slice(0, 200)).message)
    },
  }
}

/** By name and scheme, as Nova looks at it. What is no browser says none. */
function isOwn(
  origin: string | undefined,
  baseUrl: string,
  { publicUrl, console: { allowedOrigins } }: Pick<Config, "publicUrl" | "console">,
): boolean {
  if (origin === undefined) return true
  const from = URL.parse(origin)
  if (!from) return false
  if (allowedOrigins.includes(from.hostname) || allowedOrigins.includes(from.host)) return true
  return [baseUrl, publicUrl].some((text) => {
    const own = URL.parse(text)
    return own?.hostname === from.hostname && own.protocol === from.protocol
  })
}
