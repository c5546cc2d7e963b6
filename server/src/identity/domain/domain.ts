// Domains are projects at the top; making one shares its code with projects: project/create.ts.
import { sql } from "kysely"
import { Type } from "typebox"
import { inputOnly } from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { missingOf } from "../faults.ts"
import { placeFields } from "../project/project.ts"
import { sorts, type Viewer } from "../read.ts"

export const domainNoun = noun({
  name: "identity.domain",
  table: sql`identity.project`,
  alias: "p",
  fields: {
    ...placeFields,
    explicitId: inputOnly(Type.String({ pattern: "^[a-zA-Z0-9]{32}$" }), {
      create: true,
      name: "explicit_domain_id",
    }),
  },
  order: sorts.byName,
  visible: ({ domainId }: Viewer) => {
    const row = domainId ? sql<boolean>`(p.is_domain and p.id = ${domainId})` : sql<boolean>`p.is_domain`
    return { row, main: row, others: [] }
  },
  ...missingOf("domain"),
})

export type Domain = Thing<typeof domainNoun>

export function domainTarget(domain: Domain | null) {
  return { target: { domain: domain ? { id: domain.id, name: domain.name } : undefined } }
}
