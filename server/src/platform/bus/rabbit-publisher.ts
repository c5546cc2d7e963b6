// Publishing with confirmations, on a connection of its own: a broker that holds publishers up (no memory, no disk)
// reads nothing more from theirs, and no channel of it can be closed in order. So what a confirmation in time is
// missing for ends with the connection, and the next message opens another one. The sender hears of it and sends again:
// the broker may have taken what it did not confirm.
import { Connection, type ConnectionOptions, type Publisher, type PublisherProps } from "rabbitmq-client"
import { Fault } from "../fault/fault.ts"

export interface RabbitPublisherOptions {
  connection: ConnectionOptions
  /** How long a confirmation may take, the way to the broker included. */
  confirmTimeoutMs: number
  publisher: PublisherProps
  onWarning: (error: unknown) => void
}

interface Line {
  connection: Connection
  publisher: Publisher
  /** Of those that wait for a confirmation on it. */
  waiting: Set<(fault: Fault) => void>
}

export class RabbitPublisher {
  readonly #options: RabbitPublisherOptions
  #line: Line | undefined

  constructor(options: RabbitPublisherOptions) {
    this.#options = options
  }

  /** Resolves when the broker has confirmed; throws `unavailable` when it does not in time. */
  async send(envelope: Parameters<Publisher["send"]>[0], body: object): Promise<void> {
    this.#line ??= this.#open()
    const line = this.#line
    const confirmed = Promise.withResolvers<void>()
    const timer = setTimeout(() => this.#cut(line), this.#options.confirmTimeoutMs)
    line.waiting.add(confirmed.reject)
    line.publisher.send(envelope, body).then(confirmed.resolve, confirmed.reject)
    try {
      await confirmed.promise
    } finally {
      clearTimeout(timer)
      line.waiting.delete(confirmed.reject)
    }
  }

  #open(): Line {
    const { connection: options, publisher, onWarning } = this.#options
    const connection = new Connection(options)
    connection.on("error", onWarning)
    connection.on("connection.blocked", (reason) => onWarning(`the broker takes no messages: ${reason}`))
    return { connection, publisher: connection.createPublisher(publisher), waiting: new Set() }
  }

  /** All that is under way there: what came behind it would not be confirmed either, or out of order. */
  #cut(line: Line): void {
    if (this.#line === line) this.#line = undefined
    const fault = unconfirmed(this.#options.confirmTimeoutMs)
    for (const reject of line.waiting) reject(fault)
    line.connection.unsafeDestroy()
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    const line = this.#line
    await line?.publisher.close()
    await line?.connection.close()
  }

  destroy(): void {
    if (this.#line) this.#cut(this.#line)
  }
}

function unconfirmed(timeoutMs: number): Fault {
  const text = `The message broker has not confirmed a message within ${timeoutMs} ms; try again.`
  return new Fault("unavailable", "bus.unconfirmed", text, { retryAfterMs: 1_000 })
}
