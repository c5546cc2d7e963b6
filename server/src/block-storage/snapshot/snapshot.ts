// A snapshot: what a volume was at one moment. It lies beside the volume, and is made from it whole.
import { sql } from "kysely"
import { Type } from "typebox"
import {
  boolean,
  filterOnly,
  integer,
  matched,
  nullable,
  onlyAsked,
  structure,
  text,
  time,
  uuid,
  word,
} from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { snapshotNotFound } from "../faults.ts"
import { liesAt } from "../host-filter.ts"
import { hasAll } from "../metadata-filter.ts"
import { type Viewer, visibleTo } from "../viewer.ts"

export const snapshotStatuses = [
  "creating",
  "available",
  "backing-up",
  "deleting",
  "error",
  "error_deleting",
  "unmanaging",
] as const
export type SnapshotStatus = (typeof snapshotStatuses)[number]

const at = (column: string) => sql`${sql.ref(`snapshot.${column}`)}`
const kept = { internal: true } as const

export const snapshotNoun = noun({
  name: "block_storage.snapshot",
  table: sql`block_storage.snapshot`,
  alias: "snapshot",
  fields: {
    id: uuid(at("id"), { filter: true, sort: true }),
    volumeId: uuid(at("volume_id"), { filter: true }),
    projectId: text(at("project_id"), { filter: true }),
    userId: text(at("user_id"), { filter: true }),
    name: nullable(text(at("name"), { create: true, update: true, filter: true, sort: true })),
    description: nullable(text(at("description"), { create: true, update: true, filter: true })),
    sizeGib: integer(at("size_gib"), { name: "size", filter: true, sort: true }),
    status: word(snapshotStatuses, at("status"), { filter: true, sort: true }),
    generation: integer(at("generation"), kept),
    metadata: structure(Type.Record(Type.String(), Type.String()), at("metadata")),
    metadataHas: filterOnly(hasAll(at("metadata")), "metadata"),
    host: matched(text(at("host"), { internal: true, filter: true }), liesAt(at("host"), at("backend"))),
    backend: text(at("backend"), kept),
    /** Its size is among what its pool has promised. */
    hasRoom: boolean(at("has_room"), kept),
    groupSnapshotId: nullable(uuid(at("group_snapshot_id"), { filter: true })),
    progress: nullable(text(at("progress"), kept)),
    availabilityZone: onlyAsked(
      text(sql`(select v.availability_zone from block_storage.volume v where v.id = ${at("volume_id")})`, {
        filter: true,
      }),
    ),
    /** All do. */
    consumesQuota: onlyAsked(boolean(sql`true`, { filter: true })),
    problem: nullable(text(at("problem"), kept)),
    createdAt: time(at("created_at"), { sort: true }),
    updatedAt: nullable(time(at("updated_at"), { sort: true })),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  visible: (viewer: Viewer) => visibleTo(viewer, at("project_id")),
  notFound: snapshotNotFound,
})

export type Snapshot = Thing<typeof snapshotNoun>
