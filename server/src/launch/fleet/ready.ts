// A socket that is there when a process is ready: its supervisor looks whether somebody answers.
import { createConnection, createServer } from "node:net"
import { listenOnSocket } from "../../platform/net/unix-socket.ts"

export async function serveReady(socketPath: string): Promise<AsyncDisposable> {
  return await listenOnSocket(
    createServer((socket) => socket.end()),
    socketPath,
  )
}

export async function isReady(socketPath: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection(socketPath)
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })
}
