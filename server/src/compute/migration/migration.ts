// Changes of size, and moves of servers to other hosts: one row each, kept after the server is gone.
import { type RawBuilder, sql } from "kysely"
import { filterOnly, integer, nullable, text, time, uuid, word } from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { listOf } from "../../platform/noun/verbs.ts"
import type {} from "../tables.ts"
import { everything, type Viewer } from "../viewer.ts"
import { migrationMarkerNotFound } from "./faults.ts"

/** In Nova's words, which clients look for. */
export const migrationStatuses = [
  "queued",
  "preparing",
  "running",
  "completed",
  "cancelled",
  "migrating",
  "finished",
  "confirmed",
  "reverting",
  "reverted",
  "accepted",
  "pre-migrating",
  "done",
  "failed",
  "error",
] as const
export type MigrationStatus = (typeof migrationStatuses)[number]

export const migrationTypes = ["resize", "migration", "live-migration", "evacuation"] as const
export type MigrationType = (typeof migrationTypes)[number]

/** Of live migrations that are under way, or wait for their turn (turn.ts). */
export const openLiveStatuses = [
  "queued",
  "preparing",
  "running",
] as const satisfies readonly MigrationStatus[]

/**
 * Of evacuations that are under way. One that found no new host, or the one before up again, is in `error`; one that
 * failed on the new host is `failed`, until the host before is back and has of the server what it is to have.
 */
export const openEvacuationStatuses = [
  "accepted",
  "pre-migrating",
] as const satisfies readonly MigrationStatus[]

export function isEvacuating(status: MigrationStatus): boolean {
  return openEvacuationStatuses.some((each) => each === status)
}

const found = { filter: true } as const

export const migrationNoun = noun({
  name: "compute.migration",
  table: sql`compute.migration`,
  alias: "m",
  /** Newest first. */
  order: [{ key: "number", direction: "desc" }],
  fields: {
    id: uuid(sql`m.id`),
    number: integer(sql`m.number`),
    serverId: uuid(sql`m.server_id`, { name: "instance_uuid", filter: true }),
    projectId: text(sql`m.project_id`, found),
    userId: text(sql`m.user_id`, found),
    type: word(migrationTypes, sql`m.type`, { name: "migration_type", filter: true }),
    status: word(migrationStatuses, sql`m.status`, found),
    sourceHost: text(sql`m.source_host`, { name: "source_compute", filter: true }),
    /** Null: none is chosen yet. */
    destHost: nullable(text(sql`nullif(m.dest_host, '')`)),
    oldFlavorNumber: integer(sql`m.old_flavor_number`),
    newFlavorNumber: integer(sql`m.new_flavor_number`),
    createdAt: time(sql`m.created_at`),
    updatedAt: nullable(time(sql`m.updated_at`)),
    /** When it was changed last, if only by being made. */
    changedAt: time(sql`coalesce(m.updated_at, m.created_at)`, { filter: true, internal: true }),
    /** From or to this host. */
    host: filterOnly((hosts) => {
      const of = (column: RawBuilder<unknown>) =>
        sql`select x.number from compute.migration x where ${column} = any(${hosts}::text[])`
      const numbers = sql`${of(sql`x.source_host`)} union ${of(sql`x.dest_host`)}`
      return sql<boolean>`m.number = any(array(${numbers}))`
    }),
  },
  visible: (_viewer: Viewer) => visibleToAll,
  notFound: migrationMarkerNotFound,
})

export type Migration = Thing<typeof migrationNoun>

/** Of all projects. */
export const listMigrations = listOf(migrationNoun, {
  viewer: () => everything,
  rule: "os_compute_api:os-migrations:index",
})
