import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import type { Caller } from "../auth/caller.ts"
import { systemClock } from "../clock/clock.ts"
import { type Ctx, makeCtx, type Platform } from "../context/context.ts"
import { fault } from "../fault/fault.ts"
import { PolicyEngine } from "../policy/policy.ts"
import { text, time } from "./field.ts"
import { noun } from "./noun.ts"
import { getOf, listOf } from "./verbs.ts"

const missing = fault("not_found", "test.note.not_found", (id: string) => `no ${id}`)
const own = sql<boolean>`n.project_id = 'p'`
const named = (name: string) =>
  noun({
    name,
    table: sql`note`,
    alias: "n",
    fields: {
      id: text(sql`n.id`, { filter: true }),
      projectId: text(sql`n.project_id`),
      createdAt: time(sql`n.created_at`),
    },
    visible: (seesAll: boolean) => {
      const row = seesAll ? sql<boolean>`true` : own
      return { row, main: row, others: [] }
    },
    notFound: missing,
  })

const policy = new PolicyEngine()
policy.declare([
  { name: "read_note", check: "role:reader and project_id:%(project_id)s", description: "" },
  { name: "list_notes", check: "role:reader", description: "" },
])
const viewer = (ctx: Ctx) => ctx.caller.roles.includes("admin")

let database: TestDatabase
const ctxOf = (...roles: string[]) => {
  const caller = { projectId: "p", roles, systemScope: null, domainId: null } as unknown as Caller
  const platform = { policy, clock: systemClock, db: database.db } as unknown as Platform
  return makeCtx(platform, caller, "req", "http://host", null, null)
}
before(async () => {
  database = await openTestDatabase()
  await sql`create table note (id text primary key, project_id text, created_at timestamptz)`.execute(
    database.db,
  )
  await sql`insert into note select 'n' || g, case when g = 2 then 'q' else 'p' end, to_timestamp(g)
    from generate_series(1, 4) g`.execute(database.db)
})
after(async () => {
  await database[Symbol.asyncDispose]()
})

const refused = { code: "policy.forbidden" }

test("what is not there, or not to be seen, is 404 before the rule is asked; or the rule is asked first", async () => {
  const target = (note: { projectId: string } | null) => ({ project_id: note?.projectId ?? null })
  const found = getOf(named("test.found"), { viewer, rule: "read_note", target })
  const asked = getOf(named("test.asked"), { viewer, rule: "read_note", target, isRefusedFirst: true })
  for (const get of [found, asked]) {
    assert.equal((await get(ctxOf("reader"), { id: "n1" })).id, "n1")
    await assert.rejects(get(ctxOf(), { id: "n1" }), refused)
    await assert.rejects(get(ctxOf("admin"), { id: "n2" }), refused)
  }
  for (const id of ["n2", "none"]) {
    await assert.rejects(found(ctxOf(), { id }), missing.is)
    await assert.rejects(asked(ctxOf(), { id }), refused)
  }
  const free = getOf(named("test.free"), { viewer, rule: "list_notes", isRefusedFirst: true })
  await assert.rejects(free(ctxOf("reader"), { id: "none" }), missing.is)
})

test("a list asks its rule of each row and leaves out what it hides, or asks once", async () => {
  const each = listOf(named("test.each"), {
    viewer,
    rule: "read_note",
    target: ({ projectId }) => ({ project_id: projectId }),
  })
  const page = { page: { limit: 2 } }
  const { items, read } = await each(ctxOf("admin", "reader"), page)
  assert.deepEqual(
    items.map(({ id }) => id),
    ["n1"],
  )
  assert.deepEqual(read, { count: 2, firstId: "n1", lastId: "n2" }, "as it was read")
  assert.deepEqual((await each(ctxOf(), page)).items, [])
  const once = listOf(named("test.once"), { viewer, rule: "list_notes" })
  await assert.rejects(once(ctxOf(), page), refused)
  assert.equal((await once(ctxOf("reader"), {})).items.length, 3, "of the caller's own")
})

test("a list with a bound says whether more follows", async () => {
  const list = listOf(named("test.bounded"), { viewer, rule: "list_notes", most: () => 2 })
  const pageOf = async (page: object) => {
    const { items, read } = await list(ctxOf("reader"), { page })
    return [items.map(({ id }) => id).join(), read.lastId, read.hasMore]
  }
  assert.deepEqual(await pageOf({}), ["n1,n3", "n3", true])
  assert.deepEqual(await pageOf({ limit: 1 }), ["n1", "n1", true])
  assert.deepEqual(await pageOf({ limit: 9, marker: "n1" }), ["n3,n4", "n4", false])
  assert.deepEqual(await pageOf({ isReverse: true }), ["n3,n4", "n4", true])
  assert.deepEqual(await pageOf({ limit: 0 }), ["", null, true])
})
