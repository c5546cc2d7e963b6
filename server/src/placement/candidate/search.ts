// Ways to get what is asked for, without reading providers that cannot give it. Trees that share with no other are
// answers each by itself: those with too little of a class are not read, and no more than are asked for.
import { type RawBuilder, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import { type Answer, type Question, sharesTrait, solve } from "./solve.ts"
import { readWorld } from "./world.ts"

export async function findCandidates(db: DbOrTx, question: Question): Promise<Answer> {
  // What shares may serve every tree, so that all are looked at together.
  if (await isAnythingShared(db)) return solve(await readWorld(db), question)
  if (question.limit === null) return solve(await readWorld(db, rootsFor(question)), question)
  const found: Answer = { candidates: [], providers: [] }
  const rows = Math.max(question.limit, 1)
  for (let offset = 0; ; offset += rows) {
    const world = await readWorld(db, sql`${rootsFor(question)} limit ${rows} offset ${offset}`)
    const limit = question.limit - found.candidates.length
    const { candidates, providers } = solve(world, { ...question, limit })
    found.candidates.push(...candidates)
    found.providers.push(...providers)
    if (world.size === 0 || found.candidates.length >= question.limit) return found
  }
}

async function isAnythingShared(db: DbOrTx): Promise<boolean> {
  const { rows } = await sql`
    select from placement.provider_trait where trait = ${sharesTrait} limit 1`.execute(db)
  return rows.length > 0
}

/** Tops of trees in which each class that is asked for is somewhere, as much as the smallest group wants of it. */
function rootsFor({ groups }: Question): RawBuilder<unknown> {
  const least = new Map<string, number>()
  for (const [name, amount] of groups.flatMap(({ resources }) => Object.entries(resources)))
    least.set(name, Math.min(least.get(name) ?? amount, amount))
  const conditions = [
    sql`r.parent_id is null`,
    ...[...least].map(([name, amount]) => hasSome(name, amount)),
    ...groups.flatMap(({ inTreeOf }) =>
      inTreeOf === null
        ? []
        : [sql`r.id = (select t.root_id from placement.resource_provider t where t.id::text = ${inTreeOf})`],
    ),
  ]
  return sql`select r.id from placement.resource_provider r
    where ${sql.join(conditions, sql` and `)} order by r.created_at, r.id`
}

function hasSome(name: string, amount: number): RawBuilder<unknown> {
  return sql`exists (
      select from placement.resource_provider p join placement.inventory i on i.provider_id = p.id
      where p.root_id = r.id and i.resource_class = ${name} and i.capacity - i.used >= ${amount}::bigint)`
}
