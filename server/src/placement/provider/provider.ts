import { sql } from "kysely"
import { filterOnly, integer, nullable, text, time, uuid } from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { providerNotFound } from "../faults.ts"

/** Something that has resources to give: a host, a part of it, or storage that hosts share. */
export const providerNoun = noun({
  name: "placement.provider",
  table: sql`placement.resource_provider`,
  alias: "resource_provider",
  fields: {
    id: uuid(sql`resource_provider.id`, { name: "uuid", create: true, filter: true }),
    name: text(sql`resource_provider.name`, { max: 200, create: "required", update: true, filter: true }),
    /** Rises with every change; who changes it names the generation that he has seen. */
    generation: integer(sql`resource_provider.generation`),
    /** Null for the top of a tree. */
    parentId: nullable(
      uuid(sql`resource_provider.parent_id`, {
        name: "parent_provider_uuid",
        create: "required",
        update: true,
      }),
    ),
    /** Itself for the top of a tree. */
    rootId: uuid(sql`resource_provider.root_id`, { name: "root_provider_uuid" }),
    createdAt: time(sql`resource_provider.created_at`, { internal: true }),
    updatedAt: time(sql`resource_provider.updated_at`, { internal: true }),
    /** All of the tree that this provider is in. */
    inTree: filterOnly(
      ([id]) => sql<boolean>`resource_provider.root_id = (
        select r.root_id from placement.resource_provider r where r.id = ${id ?? null}::uuid)`,
    ),
  },
  visible: () => visibleToAll,
  notFound: providerNotFound,
})

export type Provider = Thing<typeof providerNoun>
