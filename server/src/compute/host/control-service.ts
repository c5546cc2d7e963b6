// Nova's scheduler and conductor, as operators look for them. Here the process that works is both: it runs the sagas,
// which choose hosts and stand between the hosts and the database. Its sign of life is a row for each of the two.
import { sql } from "kysely"
import { Loop } from "../../engine/loop.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"

export const controlBinaries = ["nova-conductor", "nova-scheduler"] as const
export type ControlBinary = (typeof controlBinaries)[number]

/** Where these services show themselves; no host of machines is in it. */
export const internalZone = "internal"

export interface ControlService {
  id: string
  number: number
  host: string
  binary: ControlBinary
  lastSeenAt: Date
  /** By the database's clock, as the sign of life is. */
  isUp: boolean
}

export async function selectControlServices(platform: Platform): Promise<ControlService[]> {
  const downAfterSeconds = platform.config.compute.serviceDownAfterMs / 1_000
  const { rows } = await sql<ControlService>`
    select id, number, host, binary_name as "binary", last_seen_at as "lastSeenAt",
      last_seen_at > now() - make_interval(secs => ${downAfterSeconds}) as "isUp"
    from compute.control_service order by number`.execute(platform.db)
  return rows
}

export async function deleteControlService(tx: DbOrTx, id: string): Promise<void> {
  await sql`delete from compute.control_service where id = ${id}`.execute(tx)
}

async function noteAlive(platform: Platform): Promise<undefined> {
  const ids = controlBinaries.map(() => newUuid())
  await sql`
    insert into compute.control_service as s (host, binary_name, id)
    select ${platform.config.host}, made.binary_name, made.id
    from unnest(${[...controlBinaries]}::text[], ${ids}::uuid[]) as made (binary_name, id)
    on conflict (host, binary_name) do update set last_seen_at = now()`.execute(platform.db)
}

/** In the process that works: says so until it is disposed. */
export async function runControlServices(platform: Platform): Promise<AsyncDisposable> {
  await noteAlive(platform)
  const loop = new Loop({
    name: "compute.control_service",
    // Three signs may be lost before it is down.
    intervalMs: platform.config.compute.serviceDownAfterMs / 4,
    clock: platform.clock,
    log: platform.log,
    body: () => noteAlive(platform),
    isFirstLater: true,
  })
  return { [Symbol.asyncDispose]: () => loop.stop() }
}
