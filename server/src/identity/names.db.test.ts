import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { startTestIdentity } from "../../test/identity-cloud.ts"

test("names are the same in any case: at the log-in, in filters, and when they are taken", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  const login = async (user: object, scope: object) => {
    const identity = { methods: ["password"], password: { user: { password: "admin-pw", ...user } } }
    return (await cloud.send("POST", "/auth/tokens", { body: { auth: { identity, scope } } })).status
  }
  for (const [user, domain, project] of [
    ["admin", "default", "admin"],
    ["ADMIN", "DEFAULT", "Admin"],
  ]) {
    const named = { name: user, domain: { name: domain } }
    assert.equal(await login(named, { project: { name: project, domain: { name: domain } } }), 201, user)
    assert.equal(await login(named, { domain: { name: domain } }), 201, domain)
  }
  const send = async (method: string, path: string, body?: object) =>
    await cloud.send(method, path, { token, ...(body ? { body } : {}) })
  for (const noun of ["user", "project", "domain", "group", "role"]) {
    const made = await send("POST", `/${noun}s`, { [noun]: { name: "Straße-Öl" } })
    assert.equal(made.status, 201, noun)
    assert.equal((await send("POST", `/${noun}s`, { [noun]: { name: "STRAßE-ÖL" } })).status, 409, noun)
    const other = await send("POST", `/${noun}s`, { [noun]: { name: "other" } })
    const rename = { [noun]: { name: "straße-öl" } }
    assert.equal((await send("PATCH", `/${noun}s/${other.body[noun].id}`, rename)).status, 409, noun)
    assert.equal((await send("PATCH", `/${noun}s/${made.body[noun].id}`, rename)).status, 200, noun)
    const found = (await send("GET", `/${noun}s?name=${encodeURIComponent("STRAßE-öl")}`)).body[`${noun}s`]
    assert.deepEqual(
      found.map((one: { name: string }) => one.name),
      ["straße-öl"],
      noun,
    )
  }
})

test("a database with names that differ in case alone: the oldest keeps its name", async () => {
  await using cloud = await startTestIdentity()
  const { db } = cloud.platform
  // As it was before the names were taken in any case.
  await sql`drop index identity.user_name`.execute(db)
  await sql`alter table identity."user" add constraint user_name unique (domain_id, name)`.execute(db)
  await sql`insert into identity."user" (id, name, domain_id, created_at) values
    ('bbbbbbbbbbbb', 'Ann', 'default', '2026-01-02'), ('aaaaaaaaaaaa', 'ann', 'default', '2026-01-01'),
    ('cccccccccccc', 'ANN', 'default', '2026-01-02')`.execute(db)
  const migration = await readMigration()
  await sql.raw(migration).execute(db)
  const { rows } = await sql<{ id: string; name: string }>`
    select id, name from identity."user" where lower(name) like 'ann%' order by id`.execute(db)
  assert.deepEqual(
    rows.map((row) => row.name),
    ["ann", "Ann-bbbbbbbb", "ANN-cccccccc"],
  )
})

/** The part about users: the other tables have it behind them. */
async function readMigration(): Promise<string> {
  const { readFile } = await import("node:fs/promises")
  const file = new URL("../../schema/identity/0020_names_without_case.sql", import.meta.url)
  return (await readFile(file, "utf8")).split("\n\n")[0] ?? ""
}
