import assert from "node:assert/strict"
import { test } from "node:test"
import { migrate, readMigrations } from "../src/platform/db/migrate.ts"
import { openEmptyDatabase } from "./database.ts"

test("limits of users that compute kept are kept on by the service of quotas", async () => {
  await using database = await openEmptyDatabase()
  const names = (await readMigrations()).map(({ name }) => name)
  const before = new Set(names.filter((name) => !name.startsWith("quota/") || name < "quota/0002"))
  await migrate(database.connectionString, { only: before })
  await database.pool.query(`insert into compute.user_quota (project_id, user_id, resource, value)
    values ('p', 'u', 'cores', 5), ('p', 'u', 'ram', -1)`)
  await migrate(database.connectionString)
  const { rows } = await database.pool.query(
    "select project_id, user_id, service, resource, value from quota.user_limit order by resource",
  )
  assert.deepEqual(rows, [
    { project_id: "p", user_id: "u", service: "compute", resource: "cores", value: 5 },
    { project_id: "p", user_id: "u", service: "compute", resource: "ram", value: -1 },
  ])
})
