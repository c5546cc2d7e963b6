// An outside world for tests of sagas: things that are there or not, kept where no crash of a worker reaches, and
// refusing stale commands as a host agent does.
import { sql } from "kysely"
import pg from "pg"
import { saga, withLog } from "../saga/saga.ts"

export interface WorldParams {
  resource: string
  /** The step that fails; none for a saga that goes through. */
  failAt?: string
}

export class World implements AsyncDisposable {
  readonly #pool: pg.Pool

  constructor(connectionString: string) {
    this.#pool = new pg.Pool({ connectionString, max: 4 })
    this.#pool.on("error", () => {})
  }

  async create(): Promise<void> {
    await this.#pool.query(
      "create table public.thing (name text primary key, is_there boolean not null, fence bigint not null)",
    )
    await this.#pool.query("create table public.refused (name text, fence bigint)")
    await this.#pool.query("create table public.noted (resource text, node text)")
  }

  /** False when a newer owner has spoken already: then nothing changed. */
  async put(name: string, isThere: boolean, fence: number): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `insert into public.thing as t values ($1, $2, $3)
       on conflict (name) do update set is_there = $2, fence = $3 where t.fence <= $3`,
      [name, isThere, fence],
    )
    if (rowCount === 0) await this.#pool.query("insert into public.refused values ($1, $2)", [name, fence])
    return rowCount !== 0
  }

  async things(resource: string): Promise<string[]> {
    const { rows } = await this.#pool.query<{ name: string }>(
      "select name from public.thing where is_there and name like $1 || '/%' order by name",
      [resource],
    )
    return rows.map((row) => row.name.slice(resource.length + 1))
  }

  /** The nodes whose rows were written, as often as they were; they are added, so once means with the log. */
  async notes(resource: string): Promise<string[]> {
    const { rows } = await this.#pool.query<{ node: string }>(
      "select node from public.noted where resource = $1 order by node",
      [resource],
    )
    return rows.map((row) => row.node)
  }

  async refusals(): Promise<number> {
    const { rows } = await this.#pool.query<{ count: number }>("select count(*)::int from public.refused")
    return rows[0]?.count ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }
}

export const worldSteps = ["disk", "port", "machine", "finish"]

/** Four steps that each put a thing into the world, one with rows beside its log, as has its undo; `given-up` is there when it has unwound. */
export function worldSaga(world: World, beforePut: (step: string) => void = () => {}) {
  const put = (step: string) => async (s: { params: WorldParams; fence: number }) => {
    beforePut(step)
    await world.put(`${s.params.resource}/${step}`, true, s.fence)
    if (s.params.failAt === step) throw new Error(`told to fail at ${step}`)
    return { step }
  }
  const note = (s: { params: WorldParams }, node: string) =>
    withLog(async (tx) => {
      await sql`insert into public.noted values (${s.params.resource}, ${node})`.execute(tx)
      return { step: node }
    })
  const remove = (step: string) => async (s: { params: WorldParams; fence: number }) => {
    await world.put(`${s.params.resource}/${step}`, false, s.fence)
  }
  return saga<WorldParams>("test.world.make", 1)
    .step("disk", { do: put("disk"), undo: remove("disk") })
    .step("port", {
      do: async (s) => {
        await put("port")(s)
        return note(s, "port")
      },
      undo: async (s) => {
        await remove("port")(s)
        return note(s, "undo port")
      },
    })
    .step("machine", { do: put("machine"), undo: remove("machine") })
    .step("finish", {
      do: async (s) => {
        if (s.out.machine.step !== "machine") throw new Error("the output of an earlier step is lost")
        await put("finish")(s)
      },
      undo: remove("finish"),
    })
    .onUnwound(async (s) => {
      await world.put(`${s.params.resource}/given-up`, true, s.fence)
      return note(s, "unwound")
    })
}
