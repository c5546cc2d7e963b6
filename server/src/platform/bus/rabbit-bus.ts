// The bus of many hosts, on RabbitMQ.
//
// - A topic is a quorum queue `kumoi.<topic>`; its servers consume it, acknowledge after the work, and so get a
//   request again when one of them dies: handlers "ensure".
// - Answers come by direct reply-to, on the channel that asked. When that channel breaks, its callers hear at once.
// - publish/subscribe is one direct exchange: the routing key is the topic, every subscriber binds a queue of its own.
// - Notifications (`notifications.info` …) leave the cloud: they go to the topic exchange and in the envelope where
//   oslo.messaging's listeners look for them.
import { randomUUID } from "node:crypto"
import { type AsyncMessage, Connection, type ConnectionOptions, type PublisherProps } from "rabbitmq-client"
import { describeError, Fault } from "../fault/fault.ts"
import { type Logger, silentLogger } from "../log/log.ts"
import type { Bus, CallOptions, Handler } from "./bus.ts"
import { busClosed, encodeFault, noServer, type WireReply } from "./fault-wire.ts"
import { RabbitPublisher } from "./rabbit-publisher.ts"
import { ReplyChannel } from "./rabbit-reply.ts"

export interface RabbitBusOptions {
  /** `amqp://user:password@host:port/vhost` */
  url: string
  log?: Logger
  connectionName?: string
  /** Where other programs look for notifications; oslo.messaging's `control_exchange`. */
  notificationExchange?: string
  /** How long the broker may take to confirm a message; then the message's sender is told that it is away. */
  confirmTimeoutMs?: number
}

const concurrencyDefault = 64
const publishExchange = "kumoi.publish"
/** How long a request waits for a broker that is away before it is `unavailable`. */
const acquireTimeoutMs = 5_000
const closeTimeoutMs = 5_000
const confirmTimeoutDefaultMs = 10_000
/** A queue that nobody serves for a day is that of a host which is gone. */
const queueExpiresMs = 86_400_000
/** More than this waiting for one server: the senders are told, and try later. */
const queueLengthMost = 10_000
/** A request that ended its server's process so often is not tried again. */
const deliveriesMost = 5
const castExpiresMs = 3_600_000

const queueOf = (topic: string) => `kumoi.${topic}`
const queueArguments = {
  "x-queue-type": "quorum",
  "x-expires": queueExpiresMs,
  "x-max-length": queueLengthMost,
  "x-overflow": "reject-publish",
  "x-delivery-limit": deliveriesMost,
} as const

interface Request {
  method: string
  args: unknown
  /** Absent for a cast. A length and not an instant: the clocks of two hosts differ. */
  timeoutMs?: number
}

class RabbitBus implements Bus {
  readonly name = "rabbitmq"
  readonly #connection: Connection
  readonly #publisher: RabbitPublisher
  readonly #notifier: RabbitPublisher
  readonly #replies: ReplyChannel
  readonly #log: Logger
  readonly #notificationExchange: string
  readonly #open = new Set<AsyncDisposable>()
  /** Messages that came back because no queue wanted them, until their confirmation. */
  readonly #returned = new Set<string>()
  #isClosed = false
  #mustCut = false

  constructor(options: RabbitBusOptions) {
    this.#log = options.log ?? silentLogger
    this.#notificationExchange = options.notificationExchange ?? "openstack"
    const connectionName = options.connectionName ?? "kumoi"
    const connection: ConnectionOptions = {
      url: options.url,
      connectionName,
      acquireTimeout: acquireTimeoutMs,
      connectionTimeout: acquireTimeoutMs,
      retryLow: 200,
      retryHigh: 5_000,
    }
    this.#connection = new Connection(connection)
    this.#connection.on("error", (error: unknown) => this.#warn("connection", error))
    const publisher = (what: string, props: PublisherProps) =>
      new RabbitPublisher({
        connection: { ...connection, connectionName: `${connectionName} ${what}` },
        confirmTimeoutMs: options.confirmTimeoutMs ?? confirmTimeoutDefaultMs,
        publisher: { confirm: true, ...props },
        onWarning: (error) => this.#warn(what, error),
      })
    this.#publisher = publisher("messages", {
      maxAttempts: 2,
      exchanges: [{ exchange: publishExchange, type: "direct", durable: true }],
      onReturn: (message) => {
        if (message.messageId) this.#returned.add(message.messageId)
      },
    })
    // Many are on their way at once and in order. One that is sent again by itself would come after its successors:
    // whoever publishes sends all of them again.
    this.#notifier = publisher("notifications", {
      maxAttempts: 1,
      exchanges: [{ exchange: this.#notificationExchange, type: "topic", durable: false }],
    })
    this.#replies = new ReplyChannel(this.#connection)
  }

  async connect(timeoutMs: number): Promise<void> {
    await this.#connection.onConnect(timeoutMs, true)
  }

  async call(topic: string, method: string, args: unknown, options: CallOptions): Promise<unknown> {
    this.#assertOpen()
    options.signal?.throwIfAborted()
    const request: Request = { method, args, timeoutMs: options.timeoutMs }
    return await this.#replies.call({ topic, queue: queueOf(topic), method, request, options })
  }

  async cast(topic: string, method: string, args: unknown): Promise<void> {
    const request: Request = { method, args }
    const messageId = randomUUID()
    const envelope = {
      routingKey: queueOf(topic),
      mandatory: true,
      durable: true,
      messageId,
      expiration: String(castExpiresMs),
    }
    await this.#send(this.#publisher, envelope, request)
    if (this.#returned.delete(messageId)) throw noServer(topic)
  }

  async #send(
    publisher: RabbitPublisher,
    envelope: Parameters<RabbitPublisher["send"]>[0],
    body: object,
  ): Promise<void> {
    this.#assertOpen()
    try {
      await publisher.send(envelope, body)
    } catch (error) {
      throw error instanceof Fault ? error : brokerAway(error)
    }
  }

  async serve(
    topic: string,
    handler: Handler,
    options: { concurrency?: number } = {},
  ): Promise<AsyncDisposable> {
    this.#assertOpen()
    const concurrency = options.concurrency ?? concurrencyDefault
    const stop = new AbortController()
    const queue = queueOf(topic)
    const consumer = this.#connection.createConsumer(
      {
        queue,
        queueOptions: { queue, durable: true, arguments: queueArguments },
        // No more than it works on: what waits here could be done by another server.
        qos: { prefetchCount: concurrency },
        concurrency,
        requeue: false,
      },
      async (message, reply) => {
        const answer = await this.#handle(topic, message, handler, stop.signal)
        if (message.replyTo) await reply(answer)
      },
    )
    consumer.on("error", (error: unknown) => this.#warn(`server of ${topic}`, error))
    await this.#ready(consumer)
    return this.#track(async () => {
      // First told, then closed: closing waits for those that run.
      stop.abort()
      await consumer.close()
    })
  }

  async #handle(
    topic: string,
    message: AsyncMessage,
    handler: Handler,
    stop: AbortSignal,
  ): Promise<WireReply> {
    const { method, args, timeoutMs } = message.body as Request // sent by call() or cast()
    const signal = new AbortController()
    const onStop = () => signal.abort(stop.reason)
    stop.addEventListener("abort", onStop, { once: true })
    if (stop.aborted) onStop()
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => signal.abort(), timeoutMs)
    try {
      return { result: (await handler(method, args ?? null, signal.signal)) ?? null }
    } catch (error) {
      const text = describeError(error)
      if (!message.replyTo) this.#log.warn({ topic, method, error: text }, "a cast failed")
      return { fault: encodeFault(error) }
    } finally {
      clearTimeout(timer)
      stop.removeEventListener("abort", onStop)
    }
  }

  async publish(topic: string, message: unknown): Promise<void> {
    if (isNotification(topic)) {
      const body = { "oslo.version": "2.0", "oslo.message": JSON.stringify(message) }
      const envelope = { exchange: this.#notificationExchange, routingKey: topic, durable: true }
      await this.#send(this.#notifier, envelope, body)
    } else {
      const envelope = { exchange: publishExchange, routingKey: topic }
      await this.#send(this.#publisher, envelope, { message: message ?? null })
    }
  }

  async subscribe(topic: string, onMessage: (message: unknown) => void): Promise<AsyncDisposable> {
    this.#assertOpen()
    const exchange = isNotification(topic) ? this.#notificationExchange : publishExchange
    const type = isNotification(topic) ? "topic" : "direct"
    let isOpen = true
    const consumer = this.#connection.createConsumer(
      {
        queue: "",
        queueOptions: { exclusive: true, autoDelete: true },
        exchanges: [{ exchange, type, durable: type === "direct" }],
        queueBindings: [{ exchange, routingKey: topic }],
        noAck: true,
        concurrency: 1,
      },
      (message) => {
        if (!isOpen) return
        try {
          onMessage(isNotification(topic) ? openEnvelope(message.body) : message.body.message)
        } catch (error) {
          this.#log.warn({ topic, error: describeError(error) }, "a subscriber failed")
        }
      },
    )
    consumer.on("error", (error: unknown) => this.#warn(`subscriber of ${topic}`, error))
    await this.#ready(consumer)
    return this.#track(async () => {
      isOpen = false
      await consumer.close()
    })
  }

  async #ready(consumer: ReturnType<Connection["createConsumer"]>): Promise<void> {
    const timer = Promise.withResolvers<never>()
    const timeout = setTimeout(() => timer.reject(brokerAway("not ready in time")), acquireTimeoutMs * 2)
    try {
      await Promise.race([new Promise<void>((resolve) => consumer.once("ready", resolve)), timer.promise])
    } catch (error) {
      void consumer.close().catch(() => {})
      throw error
    } finally {
      clearTimeout(timeout)
    }
  }

  #track(close: () => Promise<void>): AsyncDisposable {
    const handle: AsyncDisposable = {
      [Symbol.asyncDispose]: async () => {
        if (!this.#open.delete(handle)) return
        if (!(await within(closeTimeoutMs, close()))) this.#mustCut = true
      },
    }
    this.#open.add(handle)
    return handle
  }

  #assertOpen(): void {
    if (this.#isClosed) throw busClosed(this.name)
  }

  #warn(what: string, error: unknown): void {
    if (!this.#isClosed) this.#log.warn({ error: describeError(error) }, `RabbitMQ: ${what}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await Promise.all([...this.#open].map((handle) => handle[Symbol.asyncDispose]()))
    this.#replies.close()
    // A handler that does not end keeps its channel open; waiting once more for it would not help.
    if (!this.#mustCut) {
      await within(
        closeTimeoutMs,
        Promise.all([this.#publisher.close(), this.#notifier.close()]).then(() => this.#connection.close()),
      )
    }
    for (const one of [this.#publisher, this.#notifier]) one.destroy()
    this.#connection.unsafeDestroy()
  }
}

function isNotification(topic: string): boolean {
  return topic.startsWith("notifications.")
}

function openEnvelope(body: unknown): unknown {
  const { "oslo.message": text } = body as { "oslo.message": string } // put there by publish()
  return JSON.parse(text)
}

function brokerAway(cause: unknown): Fault {
  return new Fault("unavailable", "bus.broker_away", "The message broker is not reachable now; try again.", {
    cause,
    retryAfterMs: 1_000,
  })
}

/** Waits, but not for ever; false when the time was over first. */
async function within(timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  const timer = Promise.withResolvers<false>()
  const timeout = setTimeout(() => timer.resolve(false), timeoutMs)
  const done = work.then(
    () => true,
    () => true,
  )
  try {
    return await Promise.race([done, timer.promise])
  } finally {
    clearTimeout(timeout)
  }
}

/** Resolves when the broker has answered; afterwards the connection mends itself. */
export async function openRabbitBus(options: RabbitBusOptions): Promise<Bus> {
  const bus = new RabbitBus(options)
  try {
    await bus.connect(acquireTimeoutMs * 2)
  } catch (cause) {
    await bus[Symbol.asyncDispose]()
    throw brokerAway(cause)
  }
  return bus
}
