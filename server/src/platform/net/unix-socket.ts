// Servers on a unix socket: for processes of this host, and for their owner alone.
import { chmodSync, rmSync } from "node:fs"
import { connect, type Server, type Socket } from "node:net"

export async function dialSocket(socketPath: string): Promise<Socket> {
  const socket = connect(socketPath)
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve)
    socket.once("error", reject)
  })
  return socket
}

/** Takes the place of what a dead process left. Disposing breaks every connection, and removes the socket. */
export async function listenOnSocket(server: Server, socketPath: string): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>()
  server.on("connection", (socket: Socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
  rmSync(socketPath, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(socketPath, resolve)
  })
  chmodSync(socketPath, 0o600)
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
      rmSync(socketPath, { force: true })
    },
  }
}
