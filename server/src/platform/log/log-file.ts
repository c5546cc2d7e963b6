// Where log lines go: written in the background, many at a time. A log that cannot be written (full disk) neither
// ends nor stops the program: lines wait, up to a bound, and each new one is another try.
import { mkdirSync, openSync, write, writeSync } from "node:fs"
import { dirname } from "node:path"

/** Lines that wait; what comes on top of them is left out. */
const waitingCharactersMost = 4 * 1024 * 1024
/** A pipe that takes nothing now is asked again after this. */
const busyWaitMs = 20

export class LogFile {
  readonly #descriptor: number
  #lines: string[] = []
  #size = 0
  /** What the system has not taken yet of the lines that it was given. */
  #rest: Buffer = Buffer.alloc(0)
  #isWriting = false

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
    // What is on its way is written by the system, or lost with it.
    if (this.#isWriting) this.#rest = Buffer.alloc(0)
    try {
      const bytes = this.#take()
      this.#rest = bytes.subarray(writeSync(this.#descriptor, bytes))
    } catch {
      // No room, or nobody reads any more; there is no later.
    }
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

const open = new Set<LogFile>()

function flushAtExit(file: LogFile): void {
  if (open.size === 0) process.once("exit", () => open.forEach((each) => void each.flushSync()))
  open.add(file)
}
