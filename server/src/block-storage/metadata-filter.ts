// Filters by metadata: what is asked is an object as JSON, and all that it says must be there.
import { type RawBuilder, sql } from "kysely"
import type { Match } from "../platform/noun/field.ts"

export const hasAll =
  (column: RawBuilder<unknown>): Match =>
  (asked) =>
    sql<boolean>`(${sql.join(
      asked.map((one) => sql`${column} @> ${one}::jsonb`),
      sql` and `,
    )})`
