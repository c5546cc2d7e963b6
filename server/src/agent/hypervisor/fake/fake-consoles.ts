// Consoles of machines that are not there: a serial line that says back what it hears, and a screen in one colour that
// changes with each key. Enough of RFB 3.8 for any viewer: no password, raw pixels.
import type { Duplex } from "node:stream"
import { linkedPair } from "../../../platform/streams/pair.ts"
import type { ConsoleKind } from "../../protocol.ts"

const width = 160
const height = 120
const version = "RFB 003.008\n"

/** Those that are open, by their machines. */
export class FakeConsoles {
  readonly #open = new Map<string, Set<Duplex>>()

  open(serverId: string, kind: ConsoleKind, name: string): Duplex {
    const console = kind === "vnc" ? fakeScreen(name) : fakeSerial(name)
    const all = this.#open.get(serverId) ?? new Set()
    this.#open.set(serverId, all.add(console))
    console.once("close", () => all.delete(console))
    return console
  }

  /** As the sockets of a process that has ended. */
  hangUp(serverId: string): void {
    for (const console of this.#open.get(serverId) ?? []) console.destroy()
    this.#open.delete(serverId)
  }

  hangUpAll(): void {
    for (const serverId of [...this.#open.keys()]) this.hangUp(serverId)
  }
}

function fakeSerial(name: string): Duplex {
  const [theirs, own] = linkedPair()
  own.write(`${name} login: `)
  // No end of its own: a line is held open until somebody hangs up.
  own.on("data", (bytes: Buffer) => own.write(bytes))
  own.on("end", () => own.end())
  return theirs
}

/** Lengths of what a viewer says, by its first byte; null when what has come does not tell yet. */
function lengthOf(bytes: Buffer): number | null {
  switch (bytes[0]) {
    case 0:
      return 20
    case 2:
      return bytes.length < 4 ? null : 4 + 4 * bytes.readUInt16BE(2)
    case 3:
      return 10
    case 4:
      return 8
    case 5:
      return 6
    case 6:
      return bytes.length < 8 ? null : 8 + Math.abs(bytes.readInt32BE(4))
    default:
      return 1
  }
}

function fakeScreen(name: string): Duplex {
  const [theirs, own] = linkedPair()
  own.write(version)
  let unread: Buffer = Buffer.alloc(0)
  let step = 0
  let keys = 0
  const handshake = [
    { takes: version.length, says: Buffer.from([1, 1]) },
    { takes: 1, says: Buffer.alloc(4) },
    { takes: 1, says: serverInit(name) },
  ]
  /** Takes one message; false when it is not whole. */
  const takeOne = (): boolean => {
    const greeting = handshake[step]
    const length = greeting ? greeting.takes : lengthOf(unread)
    if (unread.length === 0 || length === null || unread.length < length) return false
    const message = unread.subarray(0, length)
    unread = unread.subarray(length)
    if (greeting) {
      step++
      own.write(greeting.says)
    } else if (message[0] === 4 && message[1] === 1) keys++
    else if (message[0] === 3) own.write(screen(keys))
    return true
  }
  own.on("data", (bytes: Buffer) => {
    unread = Buffer.concat([unread, bytes])
    while (takeOne());
  })
  own.on("end", () => own.end())
  return theirs
}

function serverInit(name: string): Buffer {
  const head = Buffer.alloc(24)
  head.writeUInt16BE(width, 0)
  head.writeUInt16BE(height, 2)
  // 32 bits a pixel, 24 of colour, little-endian, true colour, eight bits each.
  head.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4)
  const title = Buffer.from(name)
  head.writeUInt32BE(title.length, 20)
  return Buffer.concat([head, title])
}

/** All of it, one rectangle. */
function screen(keys: number): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt16BE(1, 2)
  head.writeUInt16BE(width, 8)
  head.writeUInt16BE(height, 10)
  const pixel = Buffer.from([(40 + keys * 50) % 256, 120, 200, 0])
  return Buffer.concat([head, Buffer.alloc(width * height * 4, pixel)])
}
