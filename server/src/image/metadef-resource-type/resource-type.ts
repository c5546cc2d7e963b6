// What metadata may be about: the kinds of things of the services, and what else namespaces name.
import { sql } from "kysely"
import { Type } from "typebox"
import { text, time } from "../../platform/noun/field.ts"
import { listThings } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { associationNotFound } from "../faults.ts"

export const resourceTypeNoun = noun({
  name: "image.metadef_resource_type",
  table: sql`image.metadef_resource_type`,
  alias: "r",
  fields: {
    name: text(sql`r.name`, { max: 80, create: "required" }),
    createdAt: time(sql`r.created_at`),
    updatedAt: time(sql`r.updated_at`),
  },
  key: "name",
  order: [{ key: "name", direction: "asc" }],
  visible: () => visibleToAll,
  notFound: associationNotFound,
})

export type ResourceType = Thing<typeof resourceTypeNoun>

export const listResourceTypes = operation({
  name: "image.metadef_resource_type.list",
  input: Type.Object({}),
  rule: "list_metadef_resource_types",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx): Promise<ResourceType[]> => await listThings(ctx.db, resourceTypeNoun, undefined),
})
