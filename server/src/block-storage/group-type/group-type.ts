// A group type: what users choose for a group of volumes, in words of what its back end must do for all of them.
import { sql } from "kysely"
import { Type } from "typebox"
import { boolean, nullable, structure, text, time, uuid } from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { groupTypeNotFound } from "../group/faults.ts"
import type { Viewer } from "../viewer.ts"

const at = (column: string) => sql`${sql.ref(`group_type.${column}`)}`

export const groupTypeNoun = noun({
  name: "block_storage.group_type",
  table: sql`block_storage.group_type`,
  alias: "group_type",
  fields: {
    id: uuid(at("id"), { sort: true }),
    name: text(at("name"), {
      create: "required",
      update: true,
      filter: true,
      sort: true,
      input: Type.String({ minLength: 1, maxLength: 255 }),
    }),
    description: nullable(text(at("description"), { create: true, update: true })),
    isPublic: boolean(at("is_public"), { create: true, update: true, filter: true }),
    groupSpecs: structure(Type.Record(Type.String(), Type.String()), at("group_specs")),
    createdAt: time(at("created_at"), { sort: true }),
    updatedAt: nullable(time(at("updated_at"))),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  /** Nobody gives a project one that is not public: Cinder has no call for that. */
  visible: ({ seesAll }: Viewer) => {
    if (seesAll) return visibleToAll
    const isPublic = sql<boolean>`${at("is_public")}`
    return { row: isPublic, main: isPublic, others: [] }
  },
  notFound: groupTypeNotFound,
})

export type GroupType = Thing<typeof groupTypeNoun>

/** Cinder's name for the type of what the older calls for consistency groups make. */
export const consistencyGroupType = "default_cgsnapshot_type"

const isTrue = (spec: string | undefined) => /^<is>\s*true$/i.test(spec?.trim() ?? "")

type Specs = Readonly<Record<string, string>>

/** Snapshots of its groups are of one moment. */
export const isConsistent = (specs: Specs) => isTrue(specs.consistent_group_snapshot_enabled)

const replicationSpecs = ["group_replication_enabled", "consistent_group_replication_enabled"]

export const isReplicated = (specs: Specs) => replicationSpecs.some((name) => isTrue(specs[name]))

/** What the back end must be able to do; all other specs are for people to read. */
export function neededOfBackend(specs: Specs): Record<string, string> {
  const needed = ["consistent_group_snapshot_enabled", ...replicationSpecs].filter((name) =>
    isTrue(specs[name]),
  )
  return Object.fromEntries(needed.map((name) => [name, "<is> True"]))
}
