// A volume type: what users choose for a volume, in words of what its back end must be able to do.
import { sql } from "kysely"
import { Type } from "typebox"
import { boolean, nullable, structure, text, time, uuid } from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { volumeTypeNotFound } from "../faults.ts"
import type { Viewer } from "../viewer.ts"

const at = (column: string) => sql`${sql.ref(`volume_type.${column}`)}`

export const volumeTypeNoun = noun({
  name: "block_storage.volume_type",
  table: sql`block_storage.volume_type`,
  alias: "volume_type",
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
    extraSpecs: structure(Type.Record(Type.String(), Type.String()), at("extra_specs")),
    qosSpecsId: nullable(uuid(at("qos_specs_id"))),
    createdAt: time(at("created_at"), { sort: true }),
    updatedAt: nullable(time(at("updated_at"))),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  /** Public ones and those that the project was given. */
  visible: ({ projectId, seesAll }: Viewer) => {
    if (seesAll) return visibleToAll
    const given = sql<boolean>`exists (select from block_storage.volume_type_access a
      where a.volume_type_id = ${at("id")} and a.project_id = ${projectId})`
    const seen = sql<boolean>`(${at("is_public")} or ${given})`
    return { row: seen, main: seen, others: [] }
  },
  notFound: volumeTypeNotFound,
})

export type VolumeType = Thing<typeof volumeTypeNoun>

/** Whether several servers may have a volume of this type at once. */
export function isMultiattachType({ extraSpecs }: Pick<VolumeType, "extraSpecs">): boolean {
  return extraSpecs.multiattach === "<is> True"
}
