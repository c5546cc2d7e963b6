// What a list reads is what it shows, however much others have: each noun of each service, each filter, each order.
// One service or noun alone: --test-name-pattern='^image'. The fixtures say how: SERVICE/testing/noun-lists.ts.
import assert from "node:assert/strict"
import { after, test } from "node:test"
import { type RawBuilder, sql } from "kysely"
import type { Db } from "../src/platform/db/database.ts"
import {
  type Compared,
  type Filters,
  type ListQuery,
  listStatement,
  markerRow,
} from "../src/platform/noun/list.ts"
import { declaredNouns, type Source } from "../src/platform/noun/noun.ts"
import { services } from "../src/services.ts"
import { openTestDatabase, type TestDatabase } from "./database.ts"
import { costOf } from "./noun-lists/cost.ts"
import { type Lists, type Look, seen } from "./noun-lists/fixture.ts"
import { nounListFixtures, testingFile } from "./service-cases.ts"

type DeclaredNoun = ReturnType<typeof declaredNouns>[number]

/** A service's nouns, in the order in which their rows are made. */
const fixtures = await nounListFixtures()

test("every noun that a service declares is tried, or says why not", () => {
  assert.ok(services.length > 0, "all are loaded")
  const known = new Set(Object.values(fixtures).flatMap((nouns) => nouns.map(({ noun }) => noun)))
  const missing = declaredNouns().flatMap(({ name }) => {
    const [service = ""] = name.split(".")
    const file = testingFile({ name: service }, "noun-lists.ts")
    return known.has(name)
      ? []
      : [
          `${name} has no fixture: add listsOf(its noun, { rows: how many of it are inserted, admin and member: who looks }) to ${file}, or fewOf(its noun, why nobody has many)`,
        ]
  })
  assert.deepEqual(missing, [])
})

test("where a viewer sees ranges besides his own, the key is unique in the whole table", async () => {
  await using database = await openTestDatabase()
  const declared = new Map(declaredNouns().map((noun) => [noun.name, noun]))
  const missing: string[] = []
  for (const fixture of Object.values(fixtures).flat()) {
    const noun = declared.get(fixture.noun)
    assert.ok(noun, fixture.noun)
    // Of those that are not tried nobody says what is seen of them.
    const hasOthers =
      "few" in fixture || looksOf(fixture).some(({ source }) => source.visible.others.length > 0)
    if (hasOthers && !(await isKeyUnique(database.db, noun))) missing.push(noun.name)
  }
  assert.deepEqual(
    missing,
    [],
    "a page is of ids, by which things are read again: no other row may have the same",
  )
})

const looksOf = ({ admin, member, stranger }: Lists) =>
  [admin, member, stranger].filter((look) => look !== undefined)

/** Whether a constraint or an index of the key's column alone says so, without a condition. */
async function isKeyUnique(db: Db, { table, alias, fields, key = "id" }: DeclaredNoun): Promise<boolean> {
  const textOf = (part: RawBuilder<unknown>) => part.compile(db).sql.replaceAll('"', "")
  const expression = fields[key]?.sql
  if (!expression || typeof expression === "function") return false
  const column = textOf(expression)
  const { rows } = await sql<{ column: string }>`select ${sql.lit(`${alias}.`)} || a.attname as column
    from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = ${textOf(table)}::regclass and i.indisunique and i.indisvalid and i.indnkeyatts = 1
      and i.indpred is null`.execute(db)
  return rows.some((row) => row.column === column)
}

const opened: TestDatabase[] = []
after(async () => {
  for (const database of opened) await database[Symbol.asyncDispose]()
})

const clouds = new Map<string, Promise<Db>>()

/** A big cloud of that service alone; made for the first of its tests. */
async function cloudOf(service: string): Promise<Db> {
  let cloud = clouds.get(service)
  if (!cloud) {
    cloud = filled(service)
    clouds.set(service, cloud)
  }
  return await cloud
}

async function filled(service: string): Promise<Db> {
  const database = await openTestDatabase()
  opened.push(database)
  for (const fixture of fixtures[service] ?? [])
    if ("rows" in fixture) for (const statement of fixture.rows) await statement.execute(database.db)
  await sql`vacuum analyze`.execute(database.db)
  return database.db
}

/** What is asked of a field of that kind when the fixture says nothing: what some have, and what nobody has. */
const guesses: Readonly<Record<string, readonly string[]>> = {
  text: ["default", "nobody's"],
  uuid: ["00000000-0000-4000-8000-000000000000"],
  boolean: ["true", "false"],
  integer: ["4", "77"],
  address: ["10.0.0.1", "10.9.9.9"],
  cidr: ["10.0.0.0/16", "10.9.0.0/16"],
  mac: ["fa:16:00:00:00:07"],
  time: ["2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"],
}

interface Asked {
  key: string
  what: string
  filters: Filters
}

/** Each filter of the noun with its values. */
function filtersOf({ source }: Look, { noun, values, within }: Lists): Asked[] {
  return Object.entries(source.fields).flatMap(([key, { kind, abilities }]) => {
    if (Object.hasOwn(within, key)) return []
    const said = key === "projectId" ? ["me", "p7", "nobody"] : undefined
    const tried = values[key] ?? said ?? (abilities.filter ? guesses[kind] : [])
    assert.ok(
      tried,
      `${noun}: what a filter by ${key} asks is for its fixture to say: values: { ${key}: […] }`,
    )
    return tried.map((value): Asked => {
      const since: Compared = { by: "atLeast", value: new Date(value) }
      return {
        key,
        what: `${key}=${value}`,
        filters: { ...within, [key]: kind === "time" ? [since] : [value] },
      }
    })
  })
}

const page = { limit: 20 }
/** A page of things with all that belongs to them, with what was looked at to find them. */
const pagesMax = 400
const rowsMax = 2_000

/** What is wrong with what the list looked at; nothing when all is well. */
async function problemsOf(
  db: Db,
  source: Source,
  query: ListQuery,
  marker: Record<string, unknown> | null = null,
): Promise<string | undefined> {
  const { pages, rows, scans } = await costOf(db, listStatement(source, query, marker))
  if (pages <= pagesMax && rows <= rowsMax && scans.length === 0) return undefined
  return `${rows} rows of ${pages} pages, all of [${scans.join(", ")}]`
}

/** Pages that nothing narrows: the first, the one before the last, one from the middle. */
async function pageProblems(db: Db, { source, list }: Look, filters: Filters): Promise<string[]> {
  const problems: string[] = []
  const check = async (what: string, query: ListQuery, marker: Record<string, unknown> | null = null) => {
    const problem = await problemsOf(db, source, query, marker)
    if (problem) problems.push(`${what}: ${problem}`)
  }
  await check("the first page", { page, filters })
  await check("the page before", { page: { ...page, isReverse: true }, filters })
  const third = (await list(db, { page: { limit: 3 }, filters })).at(-1)
  assert.ok(third, "some are seen")
  const marker = await markerRow(db, source, String(third[source.key]), source.order)
  await check("a later page", { page, filters }, marker)
  return problems
}

for (const [service, nouns] of Object.entries(fixtures)) {
  for (const fixture of nouns) {
    if ("few" in fixture) continue
    const { noun, admin, member, stranger, within, unindexed } = fixture

    if (member) {
      test(`${noun} of a project: no filter and no order reads what others have`, async () => {
        const db = await cloudOf(service)
        const wrong = await pageProblems(db, member, within)
        const check = async (what: string, query: ListQuery) => {
          const problem = await problemsOf(db, member.source, query)
          if (problem) wrong.push(`${what}: ${problem}`)
        }
        for (const { what, filters } of filtersOf(member, fixture)) await check(what, { page, filters })
        for (const [key, { abilities }] of Object.entries(member.source.fields)) {
          if (abilities.sort)
            await check(`sorted by ${key}`, {
              page: { ...page, sorts: [{ key, direction: "desc" }] },
              filters: within,
            })
        }
        assert.deepEqual(wrong, [])
      })

      test(`${noun} of a project: what it sees is its own and what is shared, in order, in pages of any size`, async () => {
        await inPages(await cloudOf(service), member)
      })
    }

    if (stranger) {
      test(`${noun} of a caller without a project: only what is everybody's`, async () => {
        const found = await stranger.list(await cloudOf(service), { page: { limit: 10 } })
        assert.ok(found.length <= 1, `${found.length} are seen`)
      })
    }

    test(`${noun} of the cloud: pages and what people look for are found by indexes`, async () => {
      const db = await cloudOf(service)
      const wrong = await pageProblems(db, admin, within)
      const excused = new Set(Object.values(unindexed).flat())
      const needed = new Set<string>()
      for (const { key, what, filters } of filtersOf(admin, fixture)) {
        const problem = await problemsOf(db, admin.source, { page, filters })
        if (problem) needed.add(key)
        if (problem && !excused.has(key)) wrong.push(`${what}: ${problem}`)
      }
      const idle = [...excused].filter((key) => !needed.has(key))
      assert.deepEqual(wrong, [], "needs an index, or an entry in the fixture's `unindexed`")
      assert.deepEqual(idle, [], "is found by an index: its entry in the fixture's `unindexed` can go")
    })
  }
}

async function inPages(db: Db, { source, list }: Look): Promise<void> {
  const { key, columns } = source
  const keyOf = (row: Readonly<Record<string, unknown>>) => String(row[key])
  const order = source.order.map((sort) => sql`${columns[sort.key]} ${sql.raw(sort.direction)}`)
  const { rows } = await sql<{ key: string }>`select ${columns[key]} as key
    from ${source.table} as ${sql.id(source.alias)} ${source.joins}
    where ${source.visible.row} order by ${sql.join([...order, columns[key]])}`.execute(db)
  const expected = rows.map((row) => String(row.key))
  assert.ok(expected.length >= seen, `${expected.length} are seen`)
  for (const limit of [3, 1_000]) {
    const got: string[] = []
    for (let marker: string | null = null; ; ) {
      const found = await list(db, { page: { limit, marker } })
      got.push(...found.map(keyOf))
      marker = got.at(-1) ?? null
      if (found.length < limit) break
    }
    assert.deepEqual(got, expected)
  }
  const last = await list(db, { page: { limit: 3, isReverse: true } })
  assert.deepEqual(last.map(keyOf), expected.slice(-3))
}
