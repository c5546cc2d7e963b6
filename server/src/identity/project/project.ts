// Projects, and domains as what they are in Keystone: projects at the top.
import { sql } from "kysely"
import { boolean, filterOnly, matched, nullable, structure, text } from "../../platform/noun/field.ts"
import { type Changes, type Create, noun, type Thing } from "../../platform/noun/noun.ts"
import { missingOf } from "../faults.ts"
import { descriptionField, extraField, idField, inDomain, nameField, optionsField, sorts } from "../read.ts"
import { Tags } from "../shapes.ts"

const written = { create: true, update: true } as const

/** A filter names several tags with commas between. */
const words = (values: readonly string[]) => values.flatMap((value) => value.split(",")).filter(Boolean)

/** What projects and domains have in common. */
export const placeFields = {
  id: idField("p"),
  name: nameField("p"),
  description: descriptionField("p"),
  isEnabled: boolean(sql`p.is_enabled`, { ...written, filter: true, name: "enabled" }),
  tags: structure(Tags, sql`p.tags`, written),
  options: optionsField("p"),
  extra: extraField("p"),
} as const

const named = { ...written, filter: true } as const

export const projectNoun = noun({
  name: "identity.project",
  table: sql`identity.project`,
  alias: "p",
  fields: {
    ...placeFields,
    // Where it is is named in a change only to be refused when it differs.
    /** Null for a domain. */
    domainId: nullable(text(sql`p.domain_id`, named)),
    /** The domain for a project at the top; null for a domain. */
    parentId: nullable(text(sql`p.parent_id`, named)),
    isDomain: boolean(sql`p.is_domain`, named),
    tags: matched(
      structure(Tags, sql`p.tags`, { ...written, filter: true }),
      (v) => sql<boolean>`p.tags @> ${words(v)}::text[]`,
    ),
    tagsAny: filterOnly((v) => sql<boolean>`p.tags && ${words(v)}::text[]`, "tags-any"),
    notTags: filterOnly((v) => sql<boolean>`not p.tags @> ${words(v)}::text[]`, "not-tags"),
    notTagsAny: filterOnly((v) => sql<boolean>`not p.tags && ${words(v)}::text[]`, "not-tags-any"),
  },
  order: sorts.byName,
  visible: inDomain(sql`p.domain_id`),
  ...missingOf("project"),
})

/** A project or a domain. */
export type Project = Thing<typeof projectNoun>
export type NewProject = Create<typeof projectNoun>
export type ProjectChanges = Changes<typeof projectNoun>

export function projectTarget(project: Project | null) {
  const facts = project ? { id: project.id, domain_id: project.domainId, name: project.name } : undefined
  return { target: { project: facts } }
}
