// Open consoles of this host's machines: each is a machine's socket joined to a stream that this host opens towards
// whoever asked. Nothing listens for them.
import type { Duplex } from "node:stream"
import type { Logger } from "../platform/log/log.ts"
import { joinStreams } from "../platform/streams/join.ts"
import type { ConsoleKind } from "./protocol.ts"

/** How this host hands a stream to the cloud, which waits for one of this id from this host. */
export interface StreamDialer {
  dial(streamId: string): Promise<Duplex>
}

interface Asked {
  serverId: string
  kind: ConsoleKind
  streamId: string
}

export class Consoles implements Disposable {
  readonly #dialer: StreamDialer
  readonly #log: Logger
  readonly #open = new Set<Duplex>()
  /** A serial line has one end: whoever comes later has it. */
  readonly #serial = new Map<string, Duplex>()

  constructor(dialer: StreamDialer, log: Logger) {
    this.#dialer = dialer
    this.#log = log
  }

  /** Resolves when the two are joined. `connect` reaches the machine. */
  async open({ serverId, kind, streamId }: Asked, connect: () => Promise<Duplex>): Promise<void> {
    if (kind === "serial") this.#serial.get(serverId)?.destroy()
    const machine = await connect()
    this.#keep(machine)
    if (kind === "serial") this.#keepSerial(serverId, machine)
    try {
      joinStreams(machine, await this.#dialer.dial(streamId))
    } catch (error) {
      machine.destroy()
      throw error
    }
    this.#log.info({ serverId, kind }, "a console is open")
  }

  #keep(machine: Duplex): void {
    // Told by its end, which follows.
    machine.on("error", () => {})
    this.#open.add(machine)
    machine.once("close", () => this.#open.delete(machine))
  }

  #keepSerial(serverId: string, machine: Duplex): void {
    this.#serial.get(serverId)?.destroy()
    this.#serial.set(serverId, machine)
    machine.once("close", () => {
      if (this.#serial.get(serverId) === machine) this.#serial.delete(serverId)
    })
  }

  [Symbol.dispose](): void {
    for (const machine of this.#open) machine.destroy()
  }
}
