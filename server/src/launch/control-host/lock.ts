// Who works: whoever holds an advisory lock of the operator's PostgreSQL. A session holds it, so that the database
// gives it free when the connection ends, which is at once when a process is killed.
//
// A process that stands still keeps its connection. So whoever works says each second that it does, which moves
// `state_change` of its session, and the next one ends the session of one that has not for the lease. One that holds the
// lock and cannot say so gives up before that.
import { isIP } from "node:net"
import pg from "pg"
import { describeError } from "../../platform/fault/fault.ts"

/** Held while a cloud runs on the database. */
const cloudLock = "kumoi.cloud"
const beatEveryMs = 1_000
/** Of the lease; then who works has given up when the next one may begin. */
const giveUpAt = 0.6
const connectTimeoutMs = 10_000
const queryTimeoutMs = 10_000
/**
 * What the session of a control host is called, `kumoi works: ADDRESS NAME`: others know by it who works and where its
 * door is. PostgreSQL keeps 63 bytes, so a long name is cut.
 */
const sessionName = "kumoi works: "
/** A machine that is gone says nothing more: its connection ends soon, on both sides. Without effect on unix sockets. */
const keepAlive =
  "set tcp_keepalives_idle = 2; set tcp_keepalives_interval = 1; set tcp_keepalives_count = 2; set tcp_user_timeout = 4000"

export interface LockOptions {
  url: string
  /** Of this process's host. */
  host: string
  /** Where other hosts reach it. */
  address: string
  /** Whoever has not said for so long that it works does not. */
  leaseMs: number
}

export interface HeldLock extends AsyncDisposable {
  /** Resolves with the reason when the lock is not ours any more; never after it was given back. */
  readonly lost: Promise<string>
}

export interface Holder {
  host: string
  address: string
  /** Since it last said that it works; null: not known. */
  silentMs: number | null
}

/** A connection that looks for the lock until it has it. */
export class LockSeeker implements AsyncDisposable {
  readonly #options: LockOptions
  #client: pg.Client | null = null

  constructor(options: LockOptions) {
    this.#options = options
  }

  /** Null: another one has it. Throws when the database cannot be used; may be asked again then. */
  async take(): Promise<HeldLock | null> {
    const client = await this.connected()
    const taken = await this.#ask(client, "select pg_try_advisory_lock(hashtextextended($1, 0)) as is_ours", [
      cloudLock,
    ])
    if (!taken.rows[0]?.is_ours) return null
    // The connection is the lock's now.
    this.#client = null
    return hold(client, this.#options.leaseMs)
  }

  /** Null: nobody, or no control host of Kumoi's. */
  async holder(): Promise<Holder | null> {
    return (await this.#holder())?.holder ?? null
  }

  /** Ends the session of a control host that has the lock and has been silent for the lease. */
  async endSilent(): Promise<Holder | null> {
    const found = await this.#holder()
    if (!found) return null
    const { silentMs } = found.holder
    if (silentMs === null || silentMs < this.#options.leaseMs) return null
    await this.#ask(await this.connected(), "select pg_terminate_backend($1)", [found.pid])
    return found.holder
  }

  async #holder(): Promise<{ pid: number; holder: Holder } | null> {
    const found = await this.#ask(
      await this.connected(),
      `select a.pid, a.application_name as name,
              (extract(epoch from clock_timestamp() - a.state_change) * 1000)::float8 as silent_ms
         from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.granted and l.objsubid = 1
          and l.database = (select oid from pg_database where datname = current_database())
          and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended($1, 0)`,
      [cloudLock],
    )
    const [row] = found.rows
    if (!row) return null
    const { pid, name, silent_ms: silentMs } = row as { pid: number; name: string; silent_ms: number | null }
    if (!name.startsWith(sessionName)) return null
    const [address = "", host = ""] = name.slice(sessionName.length).split(" ")
    return isIP(address) === 0 ? null : { pid, holder: { host, address, silentMs } }
  }

  /** Made anew when it was lost. */
  async connected(): Promise<pg.Client> {
    if (this.#client) return this.#client
    const client = new pg.Client({
      connectionString: this.#options.url,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: queryTimeoutMs,
      application_name: `${sessionName}${this.#options.address} ${this.#options.host}`,
    })
    client.on("error", () => this.#drop(client))
    await client.connect()
    await client.query(keepAlive)
    this.#client = client
    return client
  }

  async #ask(client: pg.Client, text: string, values: unknown[]): Promise<pg.QueryResult> {
    try {
      return await client.query(text, values)
    } catch (error) {
      this.#drop(client)
      throw error
    }
  }

  #drop(client: pg.Client): void {
    if (this.#client !== client) return
    this.#client = null
    void client.end().catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.end().catch(() => {})
  }
}

function hold(client: pg.Client, leaseMs: number): HeldLock {
  const { promise: lost, resolve } = Promise.withResolvers<string>()
  let isGivenBack = false
  // Counted in beats and not in time: a process that stood still itself has heard nothing meanwhile, and its session
  // tells whether it still has the lock.
  let unanswered = 0
  const unansweredMost = Math.max(1, Math.floor((leaseMs * giveUpAt) / beatEveryMs))
  const lose = (why: string) => {
    clearInterval(beat)
    if (!isGivenBack) resolve(why)
  }
  client.on("error", (error) => lose(error.message))
  client.on("end", () => lose("the connection to the database ended"))
  const beat = setInterval(() => {
    if (unanswered >= unansweredMost) return lose(`the database has not answered ${unanswered} times`)
    unanswered += 1
    client.query("select 1").then(
      () => {
        unanswered = 0
      },
      (error: unknown) => lose(describeError(error)),
    )
  }, beatEveryMs)
  return {
    lost,
    [Symbol.asyncDispose]: async () => {
      isGivenBack = true
      clearInterval(beat)
      await client.end().catch(() => {})
    },
  }
}
