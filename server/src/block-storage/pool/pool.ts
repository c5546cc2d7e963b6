// A pool: a back end of a host, where volumes can lie.
import { sql } from "kysely"
import { Type } from "typebox"
import type { VolumeAbilities } from "../../agent/protocol.ts"
import { boolean, integer, nullable, structure, text, time } from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { poolNotFound } from "../faults.ts"

const at = (column: string) => sql`${sql.ref(`pool.${column}`)}`

export const poolNoun = noun({
  name: "block_storage.pool",
  table: sql`block_storage.pool`,
  alias: "pool",
  fields: {
    /** `host@backend`, as operators of Cinder name it. */
    id: text(at("name")),
    host: text(at("host"), { filter: true, sort: true }),
    backend: text(at("backend"), { filter: true }),
    totalBytes: integer(at("total_bytes")),
    freeBytes: integer(at("free_bytes")),
    /** Of what hosts share, by all of them. */
    promisedBytes: integer(sql`(select coalesce(sum(same.promised_bytes), ${at("promised_bytes")})::bigint
      from block_storage.pool same where same.share = ${at("share")})`),
    /** What several hosts reach; null: it is the host's alone. */
    share: nullable(text(at("share"), { internal: true })),
    abilities: structure(Type.Unsafe<VolumeAbilities>({ type: "object" }), at("abilities")),
    isDisabled: boolean(at("is_disabled")),
    disabledReason: nullable(text(at("disabled_reason"))),
    reportedAt: time(at("reported_at")),
    createdAt: time(at("created_at")),
  },
  order: [
    { key: "host", direction: "asc" },
    { key: "id", direction: "asc" },
  ],
  visible: () => visibleToAll,
  notFound: poolNotFound,
})

export type Pool = Thing<typeof poolNoun>

export function isPoolUp({ reportedAt }: Pool, now: Date, downAfterMs: number): boolean {
  return now.getTime() - reportedAt.getTime() < downAfterMs
}
