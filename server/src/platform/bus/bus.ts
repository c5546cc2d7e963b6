// Wake-ups and host RPC. Losing every message costs latency, never state: PostgreSQL is the truth.

export interface CallOptions {
  timeoutMs: number
  signal?: AbortSignal
}

/** A handler's faults travel back to the caller as faults of the same kind and code. */
export type Handler = (method: string, args: unknown, signal: AbortSignal) => Promise<unknown>

export interface Bus {
  readonly name: string
  /** Asks one server of the topic and waits for its answer. No server, or no answer in time: fault `unavailable`. */
  call(topic: string, method: string, args: unknown, options: CallOptions): Promise<unknown>
  /** Tells one server of the topic, without an answer. */
  cast(topic: string, method: string, args: unknown): Promise<void>
  /** Serves a topic; several servers of one topic share the work. Dispose to stop. */
  serve(topic: string, handler: Handler, options?: { concurrency?: number }): Promise<AsyncDisposable>
  /** Tells every subscriber of the topic. */
  publish(topic: string, message: unknown): Promise<void>
  subscribe(topic: string, onMessage: (message: unknown) => void): Promise<AsyncDisposable>
  [Symbol.asyncDispose](): Promise<void>
}
