// A lasting view of one OVSDB database: connects, comes back by itself, keeps a replica of the chosen tables and
// carries transactions. The server sends the update that a transaction causes before the transaction's answer
// (checked by a test), so the replica holds our own writes as soon as `transact` returns.
//
//   connecting -> following -> (connection ends) -> waiting -> connecting ...       any -> closed
import { systemClock } from "../clock/clock.ts"
import { type Notification, OvsdbConnection } from "./connection.ts"
import { OvsdbError, OvsdbUnavailable } from "./errors.ts"
import { encodeOperation, type Operation } from "./operation.ts"
import { type MonitoredTables, Replica, type RowChange } from "./replica.ts"
import { type DatabaseSchema, parseSchema } from "./schema.ts"
import { type Atom, decodeAtom, type Row } from "./value.ts"

export interface OvsdbClientOptions {
  socketPath: string
  database: string
  /** Tables to follow, with their columns; an empty list stands for every column. */
  tables: MonitoredTables
  /** Of these columns, those that may become long: sets and maps, kept beside the rows (`long`), not in them. */
  longColumns?: MonitoredTables
}

export interface OperationResult {
  /** Of an insert. */
  uuid: string | undefined
  /** Of update, mutate and delete. */
  count: number
  /** Of a select: rows as they stand on the wire. */
  rows: Record<string, unknown>[]
}

type Listener = (changes: readonly RowChange[]) => void

const retryFirstMs = 50
const retryMostMs = 2_000
const monitorId = "kumoi"

export class OvsdbClient {
  readonly #options: OvsdbClientOptions
  readonly #listeners = new Set<Listener>()
  /** Locks asked for, and whether they are ours. */
  readonly #locks = new Map<string, boolean>()
  readonly #ended = new AbortController()
  #connection: OvsdbConnection | undefined
  #schema: DatabaseSchema | undefined
  #replica: Replica | undefined
  #problem: string | undefined = "not connected yet"
  #wake: (() => void)[] = []
  readonly #loop: Promise<void>

  constructor(options: OvsdbClientOptions) {
    this.#options = options
    this.#loop = this.#run()
  }

  /** Why there is no view of the database at this moment; undefined when all is well. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Resolves when the replica is filled and the connection stands. */
  async ready(timeoutMs = 10_000): Promise<void> {
    await this.#until(
      () => this.#problem === undefined,
      timeoutMs,
      () => this.#problem ?? "not connected",
    )
  }

  /**
   * Runs `work` while this session holds the named lock of the server (RFC 7047, 4.1.8). `work` puts the operation
   * that it is given into its transactions: then they fail when the session, and with it the lock, was lost.
   */
  async withLock<T>(
    name: string,
    timeoutMs: number,
    work: (assertLock: Operation) => Promise<T>,
  ): Promise<T> {
    if (this.#locks.has(name)) throw new Error(`ovsdb: the lock ${name} is asked for twice in one session`)
    const connection = this.#connection
    if (!connection) throw new OvsdbUnavailable(this.#problem ?? "not connected")
    this.#locks.set(name, false)
    try {
      const answer = await connection.request("lock", [name], timeoutMs)
      if (typeof answer === "object" && answer !== null && "locked" in answer && answer.locked === true)
        this.#locks.set(name, true)
      await this.#until(
        () => this.#locks.get(name) === true,
        timeoutMs,
        () => `another session holds the lock ${name}`,
      )
      return await work({ op: "assert", lock: name })
    } finally {
      this.#locks.delete(name)
      await connection.request("unlock", [name], timeoutMs).catch(() => {})
    }
  }

  async #until(done: () => boolean, timeoutMs: number, why: () => string): Promise<void> {
    const end = systemClock.monotonicMs() + timeoutMs
    while (!done()) {
      const leftMs = end - systemClock.monotonicMs()
      if (leftMs <= 0 || this.#ended.signal.aborted) throw new OvsdbUnavailable(why())
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  get schema(): DatabaseSchema {
    if (!this.#schema) throw new OvsdbUnavailable(this.#problem ?? "not connected")
    return this.#schema
  }

  /** The rows of a monitored table by uuid, as last seen; stays readable while the connection is away. */
  table(name: string): ReadonlyMap<string, Row> {
    if (!this.#replica) throw new OvsdbUnavailable(this.#problem ?? "not connected")
    return this.#replica.table(name)
  }

  /** A column of `longColumns`, as it is now; it changes in place. */
  long(
    table: string,
    uuid: string,
    column: string,
  ): ReadonlySet<Atom> | ReadonlyMap<string, Atom> | undefined {
    return this.#replica?.long(table, uuid, column)
  }

  /** Calls back after each change of the replica; returns what ends it. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Changes of the replica as they come, batch by batch, until the signal aborts. */
  async *changes(signal: AbortSignal): AsyncGenerator<readonly RowChange[]> {
    const queue: (readonly RowChange[])[] = []
    let wake: () => void = () => {}
    const stop = this.onChange((changes) => {
      queue.push(changes)
      wake()
    })
    const ended = AbortSignal.any([signal, this.#ended.signal])
    const onEnd = () => wake()
    ended.addEventListener("abort", onEnd)
    try {
      while (!ended.aborted) {
        const next = queue.shift()
        if (next) yield next
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      stop()
      ended.removeEventListener("abort", onEnd)
    }
  }

  /** Does all operations or none. Throws OvsdbError for a refusal, OvsdbUnavailable when nobody answered. */
  async transact(operations: readonly Operation[], timeoutMs = 30_000): Promise<OperationResult[]> {
    const connection = this.#connection
    if (!connection || this.#problem !== undefined)
      throw new OvsdbUnavailable(`ovsdb ${this.#options.database}: ${this.#problem ?? "not connected"}`)
    const wire = operations.map((operation) => encodeOperation(this.schema, operation))
    const answer = await connection.request("transact", [this.#options.database, ...wire], timeoutMs)
    return readResults(answer, operations)
  }

  async close(): Promise<void> {
    this.#ended.abort()
    this.#tell()
    await this.#loop
  }

  async #run(): Promise<void> {
    let waitMs = retryFirstMs
    while (!this.#ended.signal.aborted) {
      let why: string
      try {
        const connection = await this.#follow()
        waitMs = retryFirstMs
        why = await connection.closed
      } catch (error) {
        why = error instanceof Error ? error.message : String(error)
        waitMs = Math.min(retryMostMs, waitMs * 2)
      }
      this.#connection = undefined
      this.#problem = `ovsdb ${this.#options.database} at ${this.#options.socketPath}: ${why}`
      this.#tell()
      await systemClock.sleep(waitMs, this.#ended.signal).catch(() => {})
    }
    this.#problem = "closed"
  }

  async #follow(): Promise<OvsdbConnection> {
    const { socketPath, database, tables, longColumns } = this.#options
    // Notifications wait here until the answer to monitor_cond has laid the ground for them.
    let early: Notification[] | undefined = []
    const connection = await OvsdbConnection.open(socketPath, (notification) => {
      if (early) early.push(notification)
      else this.#notified(notification)
    })
    // close() does not know of a session that is still being made; it ends by the same signal.
    const onEnded = () => connection.close()
    this.#ended.signal.addEventListener("abort", onEnded, { once: true })
    void connection.closed.then(() => this.#ended.signal.removeEventListener("abort", onEnded))
    try {
      if (this.#ended.signal.aborted) throw new OvsdbUnavailable("closed")
      const schema = parseSchema(await connection.request("get_schema", [database]))
      const columns = chosenColumns(schema, tables)
      const replica = new Replica(schema, columns, longColumns)
      const requests: Record<string, unknown> = {}
      for (const [table, names] of Object.entries(columns)) requests[table] = [{ columns: names }]
      const initial = await connection.request("monitor_cond", [database, monitorId, requests])
      replica.apply(initial)
      const prior = this.#replica ?? new Replica(schema, columns, longColumns)
      this.#schema = schema
      this.#replica = replica
      this.#connection = connection
      this.#emit(replica.changesSince(prior))
      const waiting = early
      early = undefined
      for (const notification of waiting) this.#notified(notification)
      this.#problem = undefined
      this.#tell()
      return connection
    } catch (error) {
      connection.close()
      throw error
    }
  }

  #notified({ method, params }: Notification): void {
    if (method === "update2" && params[0] === monitorId && this.#replica)
      this.#emit(this.#replica.apply(params[1]))
    else if (method === "locked" || method === "stolen") {
      const name = String(params[0])
      if (this.#locks.has(name)) this.#locks.set(name, method === "locked")
      this.#tell()
    }
  }

  #emit(changes: readonly RowChange[]): void {
    if (changes.length === 0) return
    for (const listener of this.#listeners) listener(changes)
  }

  #tell(): void {
    const wake = this.#wake
    this.#wake = []
    for (const each of wake) each()
  }
}

function chosenColumns(schema: DatabaseSchema, tables: MonitoredTables): MonitoredTables {
  const chosen: Record<string, readonly string[]> = {}
  for (const [table, names] of Object.entries(tables)) {
    const known = schema.get(table)
    if (!known) throw new Error(`the database has no table ${table}`)
    const all = [...known.keys()].filter((column) => column !== "_uuid")
    for (const name of names) if (!known.has(name)) throw new Error(`table ${table} has no column ${name}`)
    chosen[table] = names.length === 0 ? all : names
  }
  return chosen
}

function readResults(answer: unknown, operations: readonly Operation[]): OperationResult[] {
  if (!Array.isArray(answer)) throw new OvsdbError("malformed answer", JSON.stringify(answer)?.slice(0, 200))
  for (const [index, result] of answer.entries()) {
    if (typeof result !== "object" || result === null || !("error" in result) || result.error === null)
      continue
    const details = "details" in result ? String(result.details) : undefined
    // One more result than operations: the commit itself failed, after every operation had passed.
    const whole = index >= operations.length
    throw new OvsdbError(String(result.error), details, whole ? undefined : index, operations[index])
  }
  return operations.map((_, index) => {
    const result: unknown = answer[index]
    const { uuid, count, rows } = (result ?? {}) as { uuid?: unknown; count?: unknown; rows?: unknown }
    return {
      uuid: uuid === undefined ? undefined : String(decodeAtom(uuid)),
      count: typeof count === "number" ? count : 0,
      rows: Array.isArray(rows) ? rows : [],
    }
  })
}
