// How the client sees us, for links, and where it is. What a request says of that is believed only as far as somebody
// vouches for it: the operator's public URL comes first, then what a named proxy says, then the name that was asked
// for when it is one of ours. A Host header that is none of these is never repeated.
import type { IncomingMessage } from "node:http"
import { isIP } from "node:net"
import { TLSSocket } from "node:tls"
import type { Config } from "../config/config.ts"
import { type Ranges, readRanges } from "../net/ranges.ts"

export interface Origins {
  /** `https://cloud.example/prefix`, without a slash at its end. */
  baseUrlOf(request: IncomingMessage): string
  /** The client's address; behind a named proxy, what that saw. */
  clientOf(request: IncomingMessage): string
}

export function createOrigins({
  publicUrl,
  host,
  http,
}: Pick<Config, "publicUrl" | "host" | "http">): Origins {
  const proxies = readRanges(http.trustedProxies, "http.trustedProxies")
  const names = new Set(["localhost", host.toLowerCase(), URL.parse(publicUrl)?.hostname ?? ""])
  const isBehindProxy = (request: IncomingMessage) => proxies.has(request.socket.remoteAddress ?? "")
  return {
    baseUrlOf: (request) => {
      if (http.publicUrl !== "") return publicUrl
      const proxied = isBehindProxy(request) ? proxiedUrl(request) : undefined
      return proxied ?? ownUrl(request, names) ?? publicUrl
    },
    clientOf: (request) => {
      const peer = plainAddress(request.socket.remoteAddress)
      return isBehindProxy(request) ? clientBehind(request, proxies, peer) : peer
    },
  }
}

/** The name that was asked for, when it is one of ours at the port that was asked. */
function ownUrl(request: IncomingMessage, names: ReadonlySet<string>): string | undefined {
  const { socket, headers } = request
  const asked = hostParts(headers.host)
  if (!asked) return undefined
  const isTls = socket instanceof TLSSocket
  const port = asked.port ?? (isTls ? 443 : 80)
  const isOurs = names.has(asked.name) || asked.name === plainAddress(socket.localAddress)
  return isOurs && port === socket.localPort ? `${isTls ? "https" : "http"}://${headers.host}` : undefined
}

const hostPattern = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::(\d{1,5}))?$/i

function hostParts(host: string | undefined): { name: string; port: number | undefined } | undefined {
  const found = hostPattern.exec(host ?? "")
  if (!found) return undefined
  const name = (found[1] ?? found[2] ?? "").toLowerCase()
  return { name, port: found[3] === undefined ? undefined : Number(found[3]) }
}

/** Each proxy adds its own at the end: of what came before ours we know nothing. */
function lastOf(value: string | string[] | undefined): string | undefined {
  const text = Array.isArray(value) ? value.at(-1) : value
  return text?.split(",").at(-1)?.trim() || undefined
}

/** `for=192.0.2.60;proto=https;host="cloud.example"` (RFC 7239), an object for each proxy. */
function forwarded(request: IncomingMessage): Record<string, string>[] {
  const text = request.headers.forwarded ?? ""
  return text.split(",").map((hop) =>
    Object.fromEntries(
      hop.split(";").flatMap((pair): [string, string][] => {
        const [name = "", ...rest] = pair.split("=").map((part) => part.trim())
        const value = /^"?([^"]*)"?$/.exec(rest.join("="))?.[1]
        return !/^[a-z]+$/i.test(name) || rest.length === 0 || value === undefined
          ? []
          : [[name.toLowerCase(), value]]
      }),
    ),
  )
}

function proxiedUrl(request: IncomingMessage): string | undefined {
  const { headers } = request
  const said = forwarded(request).at(-1) ?? {}
  const proto = (said.proto ?? lastOf(headers["x-forwarded-proto"]) ?? "http").toLowerCase()
  const host = said.host ?? lastOf(headers["x-forwarded-host"]) ?? headers.host
  const parts = hostParts(host)
  if (!parts || (proto !== "http" && proto !== "https")) return undefined
  const port = lastOf(headers["x-forwarded-port"])
  const isPortNew = parts.port === undefined && port !== undefined && /^\d{1,5}$/.test(port)
  const usual = proto === "https" ? "443" : "80"
  const prefix = lastOf(headers["x-forwarded-prefix"]) ?? ""
  const path = /^(\/[\w.~-]+)+\/?$/.test(prefix) ? prefix.replace(/\/$/, "") : ""
  return `${proto}://${host}${isPortNew && port !== usual ? `:${port}` : ""}${path}`
}

/** The last address that is no proxy of ours: what stands before it anybody may have written. */
function clientBehind(request: IncomingMessage, proxies: Ranges, peer: string): string {
  const given = request.headers.forwarded
    ? forwarded(request).map((hop) => hop.for ?? "")
    : [request.headers["x-forwarded-for"] ?? []].flat().join(",").split(",")
  for (const text of given.reverse()) {
    const address = addressOf(text.trim())
    if (isIP(address) === 0) break
    if (!proxies.has(address)) return address
  }
  return peer
}

/** Without a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressOf(text: string): string {
  const bracketed = /^\[([^\]]+)\]/.exec(text)?.[1]
  return plainAddress(bracketed ?? text.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1"))
}

/** `::ffff:127.0.0.1` is what a socket for both families says of IPv4. */
function plainAddress(address: string | undefined): string {
  return (address ?? "").replace(/^::ffff:(?=\d+\.)/i, "")
}
