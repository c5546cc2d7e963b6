// A group snapshot: snapshots of all volumes of a group, taken and deleted together.
import { sql } from "kysely"
import { boolean, integer, nullable, text, time, uuid, word } from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { groupSnapshotNotFound } from "../group/faults.ts"
import { groupStatuses } from "../group/group.ts"
import { consistencyGroupType } from "../group-type/group-type.ts"
import { type Viewer, visibleTo } from "../viewer.ts"

const at = (column: string) => sql`${sql.ref(`group_snapshot.${column}`)}`
const kept = { internal: true } as const

export const groupSnapshotNoun = noun({
  name: "block_storage.group_snapshot",
  table: sql`block_storage.group_snapshot`,
  alias: "group_snapshot",
  fields: {
    id: uuid(at("id"), { filter: true, sort: true }),
    groupId: uuid(at("group_id"), { filter: true }),
    projectId: text(at("project_id"), { filter: true }),
    userId: text(at("user_id"), { internal: true, filter: true }),
    name: nullable(text(at("name"), { create: true, filter: true, sort: true })),
    description: nullable(text(at("description"), { create: true, filter: true })),
    status: word(groupStatuses, at("status"), { filter: true, sort: true }),
    generation: integer(at("generation"), kept),
    groupTypeId: uuid(at("group_type_id")),
    /** Of the older calls, which alone may work on it. */
    isConsistencyGroup: boolean(
      sql`(exists (select from block_storage.group_type t
        where t.id = ${at("group_type_id")} and t.name = ${sql.lit(consistencyGroupType)}))`,
      kept,
    ),
    problem: nullable(text(at("problem"), kept)),
    createdAt: time(at("created_at"), { sort: true }),
    updatedAt: nullable(time(at("updated_at"))),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  visible: (viewer: Viewer) => visibleTo(viewer, at("project_id")),
  notFound: groupSnapshotNotFound,
})

export type GroupSnapshot = Thing<typeof groupSnapshotNoun>
