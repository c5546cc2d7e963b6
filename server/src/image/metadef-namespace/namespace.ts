// Definitions of metadata: a namespace of properties, objects and tags that images, flavors, volumes … may carry.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import {
  boolean,
  columnsOf,
  filterOnly,
  nullable,
  text,
  time,
  uuid,
  word,
} from "../../platform/noun/field.ts"
import { findThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { namespaceNotFound } from "../faults.ts"
import type { ImageViewer } from "../image/image.ts"
import { imageViewerOf } from "../image/store.ts"

const given = { create: true, update: true } as const

export const namespaceNoun = noun({
  name: "image.metadef_namespace",
  table: sql`image.metadef_namespace`,
  alias: "n",
  fields: {
    id: uuid(sql`n.id`, { internal: true }),
    name: text(sql`n.name`, { name: "namespace", max: 80, create: "required", update: true, sort: true }),
    displayName: nullable(text(sql`n.display_name`, { max: 80, ...given })),
    description: nullable(text(sql`n.description`, { max: 500, ...given })),
    visibility: word(["public", "private"], sql`n.visibility`, { filter: true, ...given }),
    isProtected: boolean(sql`n.is_protected`, { name: "protected", ...given }),
    projectId: nullable(text(sql`n.project_id`, { name: "owner", ...given })),
    createdAt: time(sql`n.created_at`, { sort: true }),
    updatedAt: time(sql`n.updated_at`, { sort: true }),
    /** Those for one of these types. */
    resourceTypes: filterOnly(
      (types) => sql<boolean>`exists (select from image.metadef_association a
      where a.namespace_id = n.id and a.resource_type = any(${[...types]}::text[]))`,
    ),
  },
  key: "name",
  visible: ({ projectId, seesAll }: ImageViewer) => {
    if (seesAll) return visibleToAll
    const open = sql<boolean>`n.visibility = 'public'`
    if (projectId === null) return { row: open, main: open, others: [] }
    const own = sql<boolean>`n.project_id = ${projectId}`
    const others = [sql<boolean>`${open} and n.project_id is distinct from ${projectId}`]
    return { row: sql<boolean>`(${open} or ${own})`, main: own, others }
  },
  notFound: namespaceNotFound,
})

export type Namespace = Thing<typeof namespaceNoun>

export function namespaceTarget(namespace: Namespace): PolicyTarget {
  return { project_id: namespace.projectId, visibility: namespace.visibility }
}

/** The namespace if the caller may see it. */
export async function visibleNamespace(ctx: Ctx, name: string): Promise<Namespace> {
  const namespace = await findThing(ctx.db, namespaceNoun, imageViewerOf(ctx), name)
  const isSeen =
    namespace && ctx.policy.isAllowed(ctx.caller, "get_metadef_namespace", namespaceTarget(namespace))
  if (!isSeen) throw namespaceNotFound(name)
  return namespace
}

/** What is said of a namespace, whole each time. */
export const namespaceFields = {
  name: namespaceNoun.fields.name.schema,
  displayName: namespaceNoun.fields.displayName.schema,
  description: namespaceNoun.fields.description.schema,
  visibility: namespaceNoun.fields.visibility.schema,
  isProtected: namespaceNoun.fields.isProtected.schema,
  /** Absent: the caller's. */
  projectId: Type.Optional(Type.String()),
}
const Said = Type.Object(namespaceFields)

export function columnsOfSaid(ctx: Ctx, said: Static<typeof Said>) {
  const { name, displayName, description, visibility, isProtected } = said
  const { projectId = ctx.caller.projectId } = said
  return columnsOf({ name, displayName, description, visibility, isProtected, projectId })
}
