// Streams of hosts that are other processes of this machine: each is a connection to a unix socket (mode 0600) that
// begins with a line, the host's name and the stream's id. The other end of the line is `AwaitedStreams`.
import { connect, createServer, type Socket } from "node:net"
import { listenOnSocket } from "../net/unix-socket.ts"
import { type AwaitedStreams, streamUnasked } from "./awaited-streams.ts"

const lineBytesMost = 512
/** Both ends are programs of this machine. */
const lineTimeoutMs = 10_000
/** Says that somebody waits for the stream. */
const taken = "+"

export async function serveStreams(streams: AwaitedStreams, socketPath: string): Promise<AsyncDisposable> {
  const server = createServer((socket) => {
    // Told by its end, which follows.
    socket.on("error", () => {})
    readLine(socket).then((line) => {
      const [host = "", id = ""] = line?.split(" ") ?? []
      const take = streams.claim(host, id)
      if (!take) return void socket.destroy()
      socket.write(taken)
      take(socket)
    })
  })
  return await listenOnSocket(server, socketPath)
}

export function socketStreamDialer(socketPath: string, host: string) {
  return {
    dial: async (streamId: string): Promise<Socket> => {
      const socket = connect(socketPath)
      socket.on("error", () => {})
      socket.write(`${host} ${streamId}\n`)
      const answer = await readMost(socket, taken.length, (text) => text.length >= taken.length)
      if (answer === taken) return socket
      socket.destroy()
      throw streamUnasked()
    },
  }
}

async function readLine(socket: Socket): Promise<string | null> {
  const text = await readMost(socket, lineBytesMost, (all) => all.endsWith("\n"))
  return text === null ? null : text.slice(0, -1)
}

/** Byte by byte until it is whole, so that what follows stays in the socket. Null: it did not come. */
async function readMost(
  socket: Socket,
  mostBytes: number,
  isWhole: (text: string) => boolean,
): Promise<string | null> {
  let text = ""
  return await new Promise((done) => {
    const end = (result: string | null) => {
      socket.off("readable", read).off("close", lost).off("end", lost)
      socket.setTimeout(0).off("timeout", lost)
      if (result === null) socket.destroy()
      done(result)
    }
    const lost = () => end(null)
    const read = () => {
      for (;;) {
        const byte: Buffer | null = socket.read(1)
        if (byte === null) return
        text += byte.toString("latin1")
        if (isWhole(text)) return end(text)
        if (text.length >= mostBytes) return lost()
      }
    }
    socket.on("readable", read).once("close", lost).once("end", lost)
    socket.setTimeout(lineTimeoutMs, lost)
  })
}
