// The bus of several processes of one host: one of them has the bus, the others reach it over a unix socket.
//
// The socket is mode 0600. A process whose connection breaks has lost the one that runs the cloud: it hears of it by
// `onLost` and has nothing left to do.
import { connect as connectSocket, createServer } from "node:net"
import { type Logger, silentLogger } from "../log/log.ts"
import { listenOnSocket } from "../net/unix-socket.ts"
import type { Bus } from "./bus.ts"
import { connectionLost, PeerBus, type PeerBusOptions, type ServePeerOptions, servePeer } from "./peer-bus.ts"

/** Opens this process's bus to others of the host. */
export async function serveBus(
  bus: Bus,
  socketPath: string,
  log: Logger = silentLogger,
  options: ServePeerOptions = {},
): Promise<AsyncDisposable> {
  const server = createServer((socket) => {
    socket.on("error", (error) => log.debug({ error: error.message }, "a process left the bus"))
    servePeer(bus, socket, options)
  })
  return await listenOnSocket(server, socketPath)
}

export interface SocketBusOptions extends PeerBusOptions {
  socketPath: string
}

export async function openSocketBus(options: SocketBusOptions): Promise<Bus> {
  const socket = connectSocket(options.socketPath)
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve)
    socket.once("error", (cause) => reject(connectionLost(cause)))
  })
  const bus = new PeerBus(socket, options)
  try {
    await bus.greet()
  } catch (error) {
    await bus[Symbol.asyncDispose]()
    throw error
  }
  return bus
}
