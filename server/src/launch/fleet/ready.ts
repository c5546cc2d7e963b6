// A socket that is there when a process is ready: its supervisor looks whether somebody answers.
import { rmSync } from "node:fs"
import { createConnection, createServer } from "node:net"

export async function serveReady(socketPath: string): Promise<AsyncDisposable> {
  rmSync(socketPath, { force: true })
  const server = createServer((socket) => socket.end())
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(socketPath, resolve)
  })
  return {
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve))
      rmSync(socketPath, { force: true })
    },
  }
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
