// What is said to connections on which no request can be read: too large a head, no HTTP, HTTP where TLS is spoken; and
// to those of an address that has too many. No API is known yet, so that the answer has the edge's own shape.
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { Server as TlsServer } from "node:https"
import { isIPv6, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Logger } from "../log/log.ts"
import type { Ranges } from "../net/ranges.ts"
import { maxHeaderSize, STATUS_CODES } from "./node-http.ts"

export interface ConnectionLimits {
  /** Connections of one client's address; for IPv6 of its network of 64 bits. */
  perAddressMost: number
  /** Addresses that stand for many clients: proxies. */
  exempt: Ranges
}

/** Time that a connection too many has to read why; it counts no longer, so there may be as many again. */
const surplusMs = 5_000

interface Refusal {
  status: number
  message: string
}

const errorBody = ({ status, message }: Refusal) =>
  JSON.stringify({ error: { code: status, title: STATUS_CODES[status], message } })

/** A whole answer for a socket that has no response object. */
function answerText(refusal: Refusal): string {
  const body = errorBody(refusal)
  return [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
    "",
    body,
  ].join("\r\n")
}

/** Node's parser says which rule was broken. */
function refusalOf(error: NodeJS.ErrnoException): Refusal {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return {
        status: 431,
        message: `The address and the headers of a request may have ${maxHeaderSize / 1024} KiB.`,
      }
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { status: 413, message: "The chunks of the body have too many extensions." }
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: 408, message: "The headers of the request did not come in time." }
    default:
      return { status: 400, message: `This is no HTTP request: ${error.message}.` }
  }
}

/** What OpenSSL says when the first bytes are no TLS: those of an HTTP request among others. */
const notTls = new Set([
  "ERR_SSL_HTTP_REQUEST",
  "ERR_SSL_HTTPS_PROXY_REQUEST",
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
])
const speaksTls: Refusal = { status: 400, message: "This port speaks TLS: use https:// in the address." }

export interface Connections {
  /** Answers what comes on a connection that is one too many; false for all others. */
  refuse(request: IncomingMessage, response: ServerResponse): boolean
}

/** Watches the connections of a server that is not listening yet. */
export function watchConnections(
  server: Server | TlsServer,
  limits?: ConnectionLimits,
  log?: Logger,
): Connections {
  const answers = new WeakMap<Duplex, ServerResponse>()
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    const begun = answers.get(socket)
    const isBetween = begun?.headersSent && !begun.writableFinished
    if (error.code === "ECONNRESET" || !socket.writable || isBetween) socket.destroy()
    else socket.end(answerText(refusalOf(error)))
  })
  const raws = new Map<string, Socket>()
  if (server instanceof TlsServer) {
    server.on("connection", (socket: Socket) => {
      const key = endOf(socket)
      raws.set(key, socket)
      socket.once("close", () => raws.delete(key))
    })
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
      // TLS is over before it began; what lies below it still takes plain text.
      if (notTls.has(error.code ?? "")) raws.get(endOf(socket))?.end(answerText(speaksTls))
    })
  }
  const surplus = limits ? countAddresses(server, limits, log) : undefined
  return {
    refuse: (request, response) => {
      answers.set(request.socket, response)
      if (!limits || !surplus || surplus.size === 0 || !surplus.has(endOf(request.socket))) return false
      const message = `Your address has more than ${limits.perAddressMost} connections: close some.`
      const body = errorBody({ status: 429, message })
      response.writeHead(429, {
        "content-type": "application/json; charset=utf-8",
        "content-length": Buffer.byteLength(body),
        "retry-after": "1",
        connection: "close",
      })
      response.end(body)
      return true
    },
  }
}

/** A connection, for TLS and what lies below it alike. */
const endOf = (socket: Pick<Socket, "remoteAddress" | "remotePort">) =>
  `${socket.remoteAddress} ${socket.remotePort}`

/** Ends of connections that are too many for their address. Twice as many are not even told. */
function countAddresses(
  server: Server | TlsServer,
  { perAddressMost, exempt }: ConnectionLimits,
  log?: Logger,
): ReadonlySet<string> {
  const counts = new Map<string, number>()
  const surplus = new Set<string>()
  const countOf = (client: string) => counts.get(client) ?? 0
  server.on("connection", (socket: Socket) => {
    const address = socket.remoteAddress ?? ""
    if (exempt.has(address)) return
    const client = networkOf(address)
    const count = countOf(client) + 1
    counts.set(client, count)
    const end = endOf(socket)
    let timer: NodeJS.Timeout | undefined
    socket.once("close", () => {
      clearTimeout(timer)
      surplus.delete(end)
      if (countOf(client) > 1) counts.set(client, countOf(client) - 1)
      else counts.delete(client)
    })
    if (count <= perAddressMost) return
    if (count === perAddressMost + 1)
      log?.warn({ address: client, most: perAddressMost }, "an address has too many connections")
    if (count > 2 * perAddressMost) return void socket.destroy()
    surplus.add(end)
    timer = setTimeout(() => socket.destroy(), surplusMs)
  })
  return surplus
}

/** Whoever has an IPv6 address has its whole network of 64 bits. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "")
  if (!isIPv6(plain)) return plain
  const [left = "", right] = (plain.split("%")[0] ?? "").split("::")
  const head = left === "" ? [] : left.split(":")
  const tail = right === undefined || right === "" ? [] : right.split(":")
  const gap = right === undefined ? 0 : 8 - head.length - tail.length
  const groups = [...head, ...Array.from({ length: gap }, () => "0"), ...tail]
  return `${groups.slice(0, 4).join(":")}::/64`
}
