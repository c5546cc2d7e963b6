import { type RawBuilder, sql } from "kysely"

/** Names of projects, domains, users, groups and roles are the same in any case, as in Keystone's databases. */
export function isNamed(column: string, name: string): RawBuilder<boolean> {
  return sql<boolean>`lower(${sql.ref(column)}) = lower(${name})`
}
