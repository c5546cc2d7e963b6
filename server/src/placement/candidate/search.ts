// Ways to get what is asked for, without reading providers that cannot give it. Trees that share with no other are
// answers each by itself: those with too little of a class are not read, and no more than are asked for.
import { type RawBuilder, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import { type Answer, type Question, sharesTrait, solve } from "./solve.ts"
import { type Node, readWorld } from "./world.ts"

export async function findCandidates(db: DbOrTx, question: Question): Promise<Answer> {
  // What shares may serve every tree, so that all are looked at together.
  if (await isAnythingShared(db)) return solve(await readWorld(db), question)
  if (question.limit === null) return solve(await readWorld(db, rootsFor(question)), question)
  const found: Answer = { candidates: [], providers: [] }
  for (let after: string | null = null; ; ) {
    const limit = question.limit - found.candidates.length
    const world = await readWorld(db, rootsFor(question, { after, limit: question.limit }))
    const { candidates, providers } = solve(world, { ...question, limit })
    found.candidates.push(...candidates)
    found.providers.push(...providers)
    if (found.candidates.length >= question.limit) return found
    const roots: Node[] = [...world.values()].filter(({ parentId }) => parentId === null)
    if (roots.length < question.limit) return found
    after = roots.at(-1)?.id ?? null
  }
}

async function isAnythingShared(db: DbOrTx): Promise<boolean> {
  const { rows } = await sql`
    select from placement.provider_trait where trait = ${sharesTrait} limit 1`.execute(db)
  return rows.length > 0
}

interface RootPage {
  /** The last one of the page before. */
  after: string | null
  limit: number
}

/** All hosts have these, so a tree is asked for them by itself; who has others is found by the index of classes. */
const usualClasses = ["VCPU", "MEMORY_MB", "DISK_GB"]

/** Tops of trees in which each class that is asked for is somewhere, as much as the smallest group wants of it. */
export function rootsFor({ groups }: Question, page?: RootPage): RawBuilder<unknown> {
  const least = new Map<string, number>()
  for (const [name, amount] of groups.flatMap(({ resources }) => Object.entries(resources)))
    least.set(name, Math.min(least.get(name) ?? amount, amount))
  const usual = [...least].filter(([name]) => usualClasses.includes(name))
  const others = [...least].filter(([name]) => !usualClasses.includes(name))
  const conditions = [
    sql`r.parent_id is null`,
    ...others.map(([name, amount]) => sql`exists (select ${roomsOfTree} and ${hasSome(name, amount)})`),
    ...(usual.length > 0 ? [hasAll(usual)] : []),
    ...groups.flatMap(({ inTreeOf }) =>
      inTreeOf === null
        ? []
        : [sql`r.id = (select t.root_id from placement.resource_provider t where t.id::text = ${inTreeOf})`],
    ),
    ...(page?.after
      ? [
          sql`(r.created_at, r.id) > (select a.created_at, a.id from placement.resource_provider a
            where a.id = ${page.after}::uuid)`,
        ]
      : []),
  ]
  // The limit is part of the text: PostgreSQL plans for few rows then.
  return sql`select r.id from placement.resource_provider r
    where ${sql.join(conditions, sql` and `)} order by r.created_at, r.id
    ${page ? sql`limit ${sql.lit(page.limit)}` : sql``}`
}

const roomsOfTree = sql`
  from placement.resource_provider p join placement.inventory i on i.provider_id = p.id where p.root_id = r.id`

function hasSome(name: string, amount: number): RawBuilder<unknown> {
  return sql`(i.resource_class = ${name} and i.capacity - i.used >= ${amount}::bigint)`
}

/** As a number that is not 0: PostgreSQL believes that nearly all rows meet that (as of the scheduler's hosts). */
function hasAll(wanted: readonly [string, number][]): RawBuilder<unknown> {
  const each = wanted.map(([name, amount]) => sql`bool_or${hasSome(name, amount)}`)
  return sql`(select ${sql.join(each, sql` and `)} ${roomsOfTree})::integer <> 0`
}
