// Connections that stop to speak HTTP (`Upgrade`): how they are told from requests, refused, and handed to the process
// that keeps them.
import type { IncomingMessage } from "node:http"
import { connect } from "node:net"
import type { Duplex } from "node:stream"
import { listenOnSocket } from "../net/unix-socket.ts"
import { joinStreams } from "../streams/join.ts"
import { createServer, STATUS_CODES } from "./node-http.ts"

export interface UpgradeHandler {
  /** What it does not take is an ordinary request: many clients offer to speak HTTP/2 in this way. */
  takes(request: IncomingMessage): boolean
  take: TakeUpgrade
}

/** The socket is its own from then on. */
export type TakeUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Why is in a header: a client that expects frames may read a body as such. */
export const refusalHeader = "x-kumoi-reason"

export function refuseUpgrade(socket: Duplex, status: number, message: string): void {
  const reason = message.replaceAll(/[^\x20-\x7e]/g, "?")
  const headers = `${refusalHeader}: ${reason}\r\ncontent-length: 0\r\nconnection: close`
  socket.on("error", () => {})
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers}\r\n\r\n`)
}

/** Hands them on, as they came, to the process that listens on this socket. */
export function forwardUpgrades(socketPath: string): TakeUpgrade {
  return (request, socket, head) => {
    const { method, url, rawHeaders } = request
    const lines = [`${method} ${url} HTTP/1.1`]
    for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
    const there = connect(socketPath)
    socket.on("error", () => there.destroy())
    const onError = () => refuseUpgrade(socket, 503, "The cloud is starting; try again.")
    there.once("error", onError)
    there.once("connect", () => {
      there.off("error", onError)
      there.write(`${lines.join("\r\n")}\r\n\r\n`)
      there.write(head)
      joinStreams(socket, there)
    })
  }
}

/** Takes what other processes of this host hand on. The socket is mode 0600. */
export async function serveUpgrades(socketPath: string, take: TakeUpgrade): Promise<AsyncDisposable> {
  const server = createServer((_request, response) => response.writeHead(404).end())
  server.on("upgrade", take)
  return await listenOnSocket(server, socketPath)
}
