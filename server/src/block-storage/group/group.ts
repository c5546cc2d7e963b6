// A group: volumes of one back end that are snapshotted, copied and deleted together.
import { sql } from "kysely"
import { Type } from "typebox"
import { boolean, integer, nullable, structure, text, time, uuid, word } from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { consistencyGroupType } from "../group-type/group-type.ts"
import { type Viewer, visibleTo } from "../viewer.ts"
import { groupNotFound } from "./faults.ts"

/** Cinder's words, of groups and of their snapshots; an administrator may set any. */
export const groupStatuses = [
  "creating",
  "available",
  "updating",
  "deleting",
  "deleted",
  "error",
  "error_deleting",
] as const
export type GroupStatus = (typeof groupStatuses)[number]

/** As its SQL is called where its columns are returned. */
const at = (column: string) => sql`${sql.ref(`volume_group.${column}`)}`
const kept = { internal: true } as const

export const groupNoun = noun({
  name: "block_storage.group",
  table: sql`block_storage.volume_group`,
  alias: "volume_group",
  fields: {
    id: uuid(at("id"), { filter: true, sort: true }),
    projectId: text(at("project_id"), { filter: true }),
    userId: text(at("user_id"), { internal: true, filter: true }),
    name: nullable(text(at("name"), { create: true, update: true, filter: true, sort: true })),
    description: nullable(text(at("description"), { create: true, update: true, filter: true })),
    status: word(groupStatuses, at("status"), { filter: true, sort: true }),
    generation: integer(at("generation"), kept),
    groupTypeId: uuid(at("group_type_id"), { name: "group_type", filter: true }),
    /** Of the older calls, which alone may work on it. */
    isConsistencyGroup: boolean(
      sql`(exists (select from block_storage.group_type t
        where t.id = ${at("group_type_id")} and t.name = ${sql.lit(consistencyGroupType)}))`,
      kept,
    ),
    volumeTypeIds: structure(
      Type.Array(Type.String()),
      sql`array(select gt.volume_type_id from block_storage.group_volume_type gt
        where gt.group_id = ${at("id")} order by gt.volume_type_id)`,
      { name: "volume_types" },
    ),
    availabilityZone: text(at("availability_zone"), { filter: true }),
    host: nullable(text(at("host"), kept)),
    backend: nullable(text(at("backend"), kept)),
    groupSnapshotId: nullable(uuid(at("group_snapshot_id"), { filter: true })),
    sourceGroupId: nullable(uuid(at("source_group_id"), { filter: true })),
    problem: nullable(text(at("problem"), kept)),
    createdAt: time(at("created_at"), { sort: true }),
    updatedAt: nullable(time(at("updated_at"))),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  visible: (viewer: Viewer) => visibleTo(viewer, at("project_id")),
  notFound: groupNotFound,
})

export type Group = Thing<typeof groupNoun>
