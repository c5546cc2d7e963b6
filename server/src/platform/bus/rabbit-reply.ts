// The asking side of calls: one channel, answers by direct reply-to. The channel is made at the first call and anew
// after it broke; whoever waited for an answer on it is told at once.
import { randomUUID } from "node:crypto"
import type { AsyncMessage, Channel, Connection } from "rabbitmq-client"
import { Fault } from "../fault/fault.ts"
import type { CallOptions } from "./bus.ts"
import { busClosed, callAborted, decodeFault, noAnswer, noServer, type WireReply } from "./fault-wire.ts"

const replyQueue = "amq.rabbitmq.reply-to"

interface Waiting {
  readonly topic: string
  readonly channel: Channel
  readonly resolve: (value: unknown) => void
  readonly reject: (fault: Fault) => void
}

export interface OutgoingCall {
  topic: string
  queue: string
  method: string
  request: object
  options: CallOptions
}

export class ReplyChannel {
  readonly #connection: Connection
  readonly #waiting = new Map<string, Waiting>()
  #channel: Promise<Channel> | undefined

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async call({ topic, queue, method, request, options }: OutgoingCall): Promise<unknown> {
    const { timeoutMs, signal } = options
    const answer = Promise.withResolvers<unknown>()
    // When the time is over while the channel is still being made, nobody awaits it yet.
    answer.promise.catch(() => {})
    const id = randomUUID()
    const onAbort = () => answer.reject(callAborted(topic, method, signal?.reason))
    const timer = setTimeout(() => answer.reject(noAnswer(topic, method, timeoutMs)), timeoutMs)
    signal?.addEventListener("abort", onAbort, { once: true })
    try {
      const channel = await Promise.race([this.#acquire(), answer.promise as Promise<never>])
      this.#waiting.set(id, { topic, channel, resolve: answer.resolve, reject: answer.reject })
      await channel.basicPublish(
        {
          routingKey: queue,
          mandatory: true,
          replyTo: replyQueue,
          correlationId: id,
          expiration: String(Math.max(1, Math.floor(timeoutMs))),
        },
        request,
      )
      return await answer.promise
    } catch (error) {
      throw error instanceof Fault ? error : broken(topic, error)
    } finally {
      this.#waiting.delete(id)
      clearTimeout(timer)
      signal?.removeEventListener("abort", onAbort)
    }
  }

  #acquire(): Promise<Channel> {
    if (!this.#channel) {
      const made = this.#open()
      this.#channel = made
      made.catch(() => {
        if (this.#channel === made) this.#channel = undefined
      })
    }
    return this.#channel
  }

  async #open(): Promise<Channel> {
    const channel = await this.#connection.acquire()
    channel.on("error", () => {}) // "close" follows
    channel.on("close", () => this.#closed(channel))
    channel.on("basic.return", (message) => {
      const waiting = this.#waiting.get(message.correlationId ?? "")
      waiting?.reject(noServer(waiting.topic))
    })
    await channel.basicConsume({ queue: replyQueue, noAck: true }, (message) => this.#answered(message))
    return channel
  }

  #answered(message: AsyncMessage): void {
    const waiting = this.#waiting.get(message.correlationId ?? "")
    if (!waiting) return // came too late
    const reply = message.body as WireReply // sent by serve()
    if ("fault" in reply) waiting.reject(decodeFault(reply.fault))
    else waiting.resolve(reply.result)
  }

  #closed(channel: Channel): void {
    this.#channel = undefined
    for (const waiting of this.#waiting.values()) {
      if (waiting.channel === channel) waiting.reject(broken(waiting.topic))
    }
  }

  close(): void {
    const channel = this.#channel
    this.#channel = undefined
    for (const waiting of this.#waiting.values()) waiting.reject(busClosed("rabbitmq"))
    void channel?.then((open) => open.close()).catch(() => {})
  }
}

function broken(topic: string, cause?: unknown): Fault {
  const text = `The connection to the message broker broke while ${topic} was asked; try again.`
  return new Fault("unavailable", "bus.connection_lost", text, { cause })
}
