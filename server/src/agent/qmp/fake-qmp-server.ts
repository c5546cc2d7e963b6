// A QMP server for tests: says what it is told to say, and keeps what it heard.
import { createServer, type Server, type Socket } from "node:net"

export interface FakeQmpServer extends AsyncDisposable {
  path: string
  heard: Record<string, unknown>[]
  /** Sends a raw line to the client. */
  say(message: unknown): void
  sayRaw(text: string | Uint8Array): void
  hangUp(): void
}

export const fakeGreeting = {
  QMP: { version: { qemu: { major: 7, minor: 2, micro: 22 }, package: "" }, capabilities: [] },
}

/** `answer` returns what to say to a command; undefined keeps silent. */
export async function startFakeQmpServer(
  path: string,
  answer: (command: Record<string, unknown>) => unknown,
  options: { greeting?: unknown } = {},
): Promise<FakeQmpServer> {
  const heard: Record<string, unknown>[] = []
  const clients = new Set<Socket>()
  let client: Socket | undefined
  const server: Server = createServer((socket) => {
    client = socket
    clients.add(socket)
    socket.on("error", () => {})
    const greeting = options.greeting === undefined ? fakeGreeting : options.greeting
    if (greeting !== null) socket.write(`${JSON.stringify(greeting)}\r\n`)
    let text = ""
    socket.on("data", (chunk) => {
      text += chunk.toString()
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const command: Record<string, unknown> = JSON.parse(text.slice(0, end))
        text = text.slice(end + 1)
        heard.push(command)
        const reply = command.execute === "qmp_capabilities" ? { return: {} } : answer(command)
        if (reply !== undefined) {
          socket.write(`${JSON.stringify({ ...Object(reply), id: command.id })}\r\n`)
        }
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const sayRaw = (text: string | Uint8Array) => {
    client?.write(text)
  }
  return {
    path,
    heard,
    say: (message) => sayRaw(`${JSON.stringify(message)}\r\n`),
    sayRaw,
    hangUp: () => client?.end(),
    async [Symbol.asyncDispose]() {
      for (const each of clients) each.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
