// Nova's scheduler and conductor, as operators look for them. Here the process that works is both: it runs the sagas,
// which choose hosts and stand between the hosts and the database. Its sign of life is a row for each of the two.
import { sql } from "kysely"
import { Loop } from "../../engine/loop.ts"
import type { Platform } from "../../platform/context/context.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { boolean, integer, text, time, uuid, word } from "../../platform/noun/field.ts"
import { noun, visibleToAll } from "../../platform/noun/noun.ts"
import { serviceNotFound } from "../faults.ts"

export const controlBinaries = ["nova-conductor", "nova-scheduler"] as const
export type ControlBinary = (typeof controlBinaries)[number]

/** Where these services show themselves; no host of machines is in it. */
export const internalZone = "internal"

const found = { filter: true } as const

/** `downAfterMs`: who has been silent for longer is down. */
export const controlServiceNoun = noun({
  name: "compute.control_service",
  table: sql`compute.control_service`,
  alias: "c",
  order: [{ key: "number", direction: "asc" }],
  fields: {
    id: uuid(sql`c.id`, found),
    number: integer(sql`c.number`, found),
    host: text(sql`c.host`, found),
    binary: word(controlBinaries, sql`c.binary_name`, found),
    lastSeenAt: time(sql`c.last_seen_at`),
    /** By the database's clock, as the sign of life is. */
    isUp: boolean(
      ({ downAfterMs }: { downAfterMs: number }) =>
        sql`c.last_seen_at > now() - make_interval(secs => ${downAfterMs / 1_000})`,
    ),
  },
  visible: (_viewer: { downAfterMs: number }) => visibleToAll,
  notFound: serviceNotFound,
})

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
