// A bus, and connections over TCP to whatever serves it; for tests of both ends.
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { createMemoryBus } from "../memory-bus.ts"

export interface Hub extends AsyncDisposable {
  bus: ReturnType<typeof createMemoryBus>
  connect: () => Promise<Socket>
}

export async function openHub(serve: (socket: Socket, bus: Hub["bus"]) => void): Promise<Hub> {
  const bus = createMemoryBus()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    serve(socket, bus)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    bus,
    connect: async () => {
      const socket = connect(port, "127.0.0.1")
      socket.on("error", () => {})
      sockets.add(socket)
      await new Promise((resolve) => socket.once("connect", resolve))
      return socket
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await bus[Symbol.asyncDispose]()
    },
  }
}
