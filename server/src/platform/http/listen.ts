// Where the HTTP edge can be reached: the one port of every API, and further doors to parts of it.
import { chmodSync, rmSync } from "node:fs"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { createServer as createTlsServer, Server as TlsServer } from "node:https"
import type { AddressInfo, Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { FastifyInstance } from "fastify"
import { Fault } from "../fault/fault.ts"
import type { Logger } from "../log/log.ts"
import { type ConnectionLimits, watchConnections } from "./connections.ts"
import { createServer } from "./node-http.ts"
import { followTls, readTls, type TlsFiles } from "./tls.ts"
import type { UpgradeHandler } from "./upgrade.ts"
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
  /** Paths that lie at the root on every port: what answers there names the port that it was asked at. */
  everywhere?: readonly string[]
  /** A unix socket of this process alone, mode 0600. */
  socketPath?: string
  /** On every port; the socket stays without. */
  tls?: TlsFiles
  /** Connections to each of them at one time; further ones are closed at once. */
  connectionsMost?: number
  /** On every port: who holds too many is told so. */
  connectionLimits?: ConnectionLimits
  /** On every port and the socket, whatever is put before other paths there. */
  upgrades?: UpgradeHandler
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

export async function listen(
  server: FastifyInstance,
  options: ListenOptions,
  log?: Logger,
): Promise<Listening> {
  const { host, port, isShared = false, tls } = options
  await server.ready()
  const doors: (Server | TlsServer)[] = []
  const upgraded = new Set<Duplex>()
  let following: Disposable | undefined
  const close = async () => {
    following?.[Symbol.dispose]()
    await server.close()
    for (const socket of upgraded) socket.destroy()
    for (const door of doors) {
      door.closeAllConnections()
      await new Promise((resolve) => door.close(resolve))
    }
    if (options.socketPath) rmSync(options.socketPath, { force: true })
  }
  const common = { log, upgrades: options.upgrades, upgraded, everywhere: options.everywhere }
  const connectionsMost = options.connectionsMost ?? Number.POSITIVE_INFINITY
  const openDoor = async (door: Door) => {
    const opened = doorTo(server, door.mount, { ...common, tls, limits: options.connectionLimits })
    opened.maxConnections = connectionsMost
    await open(opened, { host, port: door.port, reusePort: isShared })
    doors.push(opened)
    return opened.address() as AddressInfo // a TCP server that listens
  }
  try {
    const bound = await openDoor({ port, mount: "" })
    for (const door of options.doors ?? []) await openDoor(door)
    if (tls)
      following = followTls(
        tls,
        doors.filter((door) => door instanceof TlsServer),
        log,
      )
    if (options.socketPath) {
      rmSync(options.socketPath, { force: true })
      const own = doorTo(server, "", common)
      await open(own, { path: options.socketPath })
      chmodSync(options.socketPath, 0o600)
      doors.push(own)
    }
    return { url: `${tls ? "https" : "http"}://${host}:${bound.port}`, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

interface DoorParts {
  tls?: TlsFiles | undefined
  limits?: ConnectionLimits | undefined
  log?: Logger | undefined
  everywhere?: readonly string[] | undefined
  upgrades?: UpgradeHandler | undefined
  /** Their sockets, which no server closes any more. */
  upgraded: Set<Duplex>
}

/** An entrance to the routes: Fastify itself listens nowhere. */
function doorTo(server: FastifyInstance, mount: string, parts: DoorParts): Server | TlsServer {
  const { tls, limits, log, upgrades, everywhere = [] } = parts
  const roots = [mount, ...everywhere]
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    if (connections.refuse(request, response)) return
    const url = plainUrl(request.url ?? "/")
    const isInside =
      mount === "" ||
      roots.some((root) => url === root || url.startsWith(`${root}/`) || url.startsWith(`${root}?`))
    request.url = isInside ? url : `${mount}${url}`
    server.routing(request, response)
  }
  const timeouts = {
    ...headerTimeouts(server.server.headersTimeout),
    shouldUpgradeCallback: (request: IncomingMessage) => {
      request.url = plainUrl(request.url ?? "/")
      return upgrades?.takes(request) ?? false
    },
  }
  const door = tls
    ? createTlsServer({ ...timeouts, ...readTls(tls), handshakeTimeout: timeouts.headersTimeout }, answer)
    : createServer(timeouts, answer)
  if (upgrades) takeUpgrades(door, upgrades, parts.upgraded)
  door.keepAliveTimeout = keepAliveTimeoutMs
  door.requestTimeout = 0
  door.timeout = silentConnectionMs
  const connections = watchConnections(door, limits, log)
  return door
}

function takeUpgrades(door: Server | TlsServer, upgrades: UpgradeHandler, upgraded: Set<Duplex>): void {
  door.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    upgraded.add(socket)
    socket.once("close", () => upgraded.delete(socket))
    socket.setTimeout(0)
    socket.setNoDelay(true)
    upgrades.take(request, socket, head)
  })
}

async function open(
  door: Server | TlsServer,
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
