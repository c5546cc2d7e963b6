// Where log lines go: written in the background, many at a time. A log that cannot be written (full disk) neither
// ends nor stops the program: lines wait, up to a bound, and each new one is another try.
import { fstatSync, mkdirSync, openSync, write, writeSync } from "node:fs"
import { dirname } from "node:path"

/** Lines that wait; what comes on top of them is left out. */
const waitingCharactersMost = 4 * 1024 * 1024
/** A pipe that takes nothing now is asked again after this. */
const busyWaitMs = 20
/** At the end, what is on its way to a file gets so long to arrive, so that what follows comes after it. */
const arriveMs = 500

export class LogFile {
  readonly #descriptor: number
  #lines: string[] = []
  #size = 0
  /** What the system has not taken yet of the lines that it was given. */
  #rest: Buffer = Buffer.alloc(0)
  #isWriting = false
  /** Of the file, when what is on its way has arrived; null where that cannot be seen. */
  #sizeThen: number | null = null

  constructor(to: string | number) {
    if (typeof to === "string") {
      mkdirSync(dirname(to), { recursive: true })
      this.#descriptor = openSync(to, "a", 0o640)
    } else this.#descriptor = to
    flushAtExit(this)
  }

  write(line: string): void {
    if (this.#size + line.length <= waitingCharactersMost) {
      this.#lines.push(line)
      this.#size += line.length
    }
    if (!this.#isWriting) this.#writeNext()
  }

  /** At the end of the process: one try, whatever comes of it. */
  flushSync(): void {
    if (this.#isWriting) {
      this.#letArrive()
      // It is written by the system, or lost with it.
      this.#rest = Buffer.alloc(0)
    }
    try {
      const bytes = this.#take()
      this.#rest = bytes.subarray(writeSync(this.#descriptor, bytes))
    } catch {
      // No room, or nobody reads any more; there is no later.
    }
  }

  /** The write goes on in a thread of its own while this one only looks. */
  #letArrive(): void {
    if (this.#sizeThen === null) return
    const pause = new Int32Array(new SharedArrayBuffer(4))
    const end = performance.now() + arriveMs
    while (performance.now() < end && (sizeOf(this.#descriptor) ?? 0) < this.#sizeThen)
      Atomics.wait(pause, 0, 0, 1)
  }

  #take(): Buffer {
    const lines = Buffer.from(this.#lines.join(""))
    this.#lines = []
    this.#size = 0
    return this.#rest.length === 0 ? lines : Buffer.concat([this.#rest, lines])
  }

  #writeNext(): void {
    this.#isWriting = true
    this.#rest = this.#take()
    const size = sizeOf(this.#descriptor)
    this.#sizeThen = size === null ? null : size + this.#rest.length
    write(this.#descriptor, this.#rest, (error, taken) => {
      this.#isWriting = false
      if (error) return this.#failed(error)
      this.#rest = this.#rest.subarray(taken)
      if (this.#rest.length > 0 || this.#lines.length > 0) this.#writeNext()
    })
  }

  #failed(error: NodeJS.ErrnoException): void {
    // They wait on, and count.
    this.#size += this.#rest.length
    if (error.code !== "EAGAIN") return
    setTimeout(() => {
      if (!this.#isWriting) this.#writeNext()
    }, busyWaitMs)
  }
}

/** Null for a pipe, a terminal and the like. */
function sizeOf(descriptor: number): number | null {
  const facts = fstatSync(descriptor)
  return facts.isFile() ? facts.size : null
}

const open = new Set<LogFile>()

function flushAtExit(file: LogFile): void {
  if (open.size === 0) process.once("exit", () => open.forEach((each) => void each.flushSync()))
  open.add(file)
}
