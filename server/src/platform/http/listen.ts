// Where the HTTP edge can be reached: the one port of every API, and further doors to parts of it.
import { chmodSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { FastifyInstance } from "fastify"
import { Fault } from "../fault/fault.ts"
import { plainUrl } from "./url.ts"

/** A port on which one API lies at the root, as in a cloud of one process a service. */
export interface Door {
  port: number
  /** `/compute`: what is put before a path that does not begin with it. */
  mount: string
}

export interface ListenOptions {
  host: string
  port: number
  /** Other processes of this cloud listen on the same address; the kernel shares the connections out. */
  isShared?: boolean
  doors?: readonly Door[]
  /** A unix socket of this process alone, mode 0600. */
  socketPath?: string
  /** Connections to each of them at one time; further ones are closed at once. */
  connectionsMost?: number
}

export interface Listening extends AsyncDisposable {
  readonly url: string
}

/** Who says nothing for so long before its headers are whole loses its connection. */
export function headerTimeouts(headersDeadlineMs: number) {
  return {
    headersTimeout: headersDeadlineMs,
    connectionsCheckingInterval: Math.min(5_000, Math.ceil(headersDeadlineMs / 4)),
  }
}

/** No byte in either direction for so long: the other side is gone, or takes nothing of its answer. */
export const silentConnectionMs = 600_000
const keepAliveTimeoutMs = 75_000

export async function listen(server: FastifyInstance, options: ListenOptions): Promise<Listening> {
  const { host, port, isShared = false } = options
  await server.ready()
  const doors: Server[] = []
  const close = async () => {
    await server.close()
    for (const door of doors) {
      door.closeAllConnections()
      await new Promise((resolve) => door.close(resolve))
    }
    if (options.socketPath) rmSync(options.socketPath, { force: true })
  }
  const connectionsMost = options.connectionsMost ?? Number.POSITIVE_INFINITY
  server.server.maxConnections = connectionsMost
  try {
    await server.listen({ host, port, ...(isShared ? { reusePort: true } : {}) })
    for (const door of options.doors ?? []) {
      const opened = doorTo(server, door.mount)
      opened.maxConnections = connectionsMost
      await open(opened, { host, port: door.port, reusePort: isShared })
      doors.push(opened)
    }
    if (options.socketPath) {
      rmSync(options.socketPath, { force: true })
      const own = doorTo(server, "")
      await open(own, { path: options.socketPath })
      chmodSync(options.socketPath, 0o600)
      doors.push(own)
    }
  } catch (error) {
    await close()
    throw error
  }
  const bound = server.server.address() as AddressInfo // a TCP server that listens
  return { url: `http://${host}:${bound.port}`, [Symbol.asyncDispose]: close }
}

/** Another entrance to the same routes. */
function doorTo(server: FastifyInstance, mount: string): Server {
  const door = createServer(headerTimeouts(server.server.headersTimeout), (request, response) => {
    const url = plainUrl(request.url ?? "/")
    const isInside =
      mount === "" || url === mount || url.startsWith(`${mount}/`) || url.startsWith(`${mount}?`)
    request.url = isInside ? url : `${mount}${url}`
    server.routing(request, response)
  })
  door.keepAliveTimeout = keepAliveTimeoutMs
  door.requestTimeout = 0
  door.timeout = silentConnectionMs
  return door
}

async function open(
  door: Server,
  at: { host: string; port: number; reusePort: boolean } | { path: string },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    door.once("error", (cause: NodeJS.ErrnoException) => {
      const where = "path" in at ? at.path : `${at.host}:${at.port}`
      const why = cause.code === "EADDRINUSE" ? "it is taken by another program" : cause.message
      reject(new Fault("conflict", "cli.port_taken", `Cannot listen on ${where}: ${why}.`, { cause }))
    })
    door.listen(at, resolve)
  })
}
