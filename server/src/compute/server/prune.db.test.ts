import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"
import { testPlatform } from "../../engine/testing/platform.ts"
import { transact } from "../../platform/db/database.ts"
import "../config.ts"
import { insertMigration } from "../migration/store.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import { newServer } from "../testing/new-server.ts"
import { pruneServers } from "./prune.reconciler.ts"
import { changeServer, insertServers, selectServer } from "./store.ts"

const keptMs = 90 * 24 * 3_600_000

test("a deleted server goes with its actions and migrations when its time is over; others stay", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const platform = testPlatform(db)
  const [old, recent, live] = await transact(db, async (tx) => {
    const made = await insertServers(
      tx,
      [0, 1, 2].map((launchIndex) => newServer({ launchIndex, userData: "c2VjcmV0" })),
    )
    for (const { id, projectId, userId, generation } of made) {
      const requestId = "req-1"
      await recordActions(tx, [{ serverId: id, action: "create", requestId, userId, projectId }])
      await endAction(tx, { serverId: id, requestId, event: "e", host: null, error: null })
      const flavors = { oldFlavorId: "1", newFlavorId: "2" }
      const hosts = { type: "resize" as const, sourceHost: "h", destHost: "h" }
      await insertMigration(tx, { serverId: id, projectId, userId, generation, ...hosts, ...flavors })
    }
    return made
  })
  assert.ok(old && recent && live)
  for (const { id, generation } of [old, recent])
    await changeServer(db, id, generation, { isDeletedNow: true })
  assert.equal(
    (await selectServer(db, recent.id, { withDeleted: true }))?.userData,
    null,
    "nobody asks for it now",
  )
  await sql`update compute.server set deleted_at = now() - make_interval(secs => ${keptMs / 1000 + 60}::float8)
    where id = ${old.id}`.execute(db)
  assert.deepEqual(await pruneServers(platform, new AbortController().signal), { removed: 1 })
  const left = async (table: string) =>
    (await sql<{ n: number }>`select count(*) as n from ${sql.table(table)}`.execute(db)).rows[0]?.n
  const tables = ["server", "server_action", "server_action_event", "migration"]
  assert.deepEqual(await Promise.all(tables.map((name) => left(`compute.${name}`))), [2, 2, 2, 2])
  assert.equal((await selectServer(db, live.id))?.userData, "c2VjcmV0")
})

test("the oldest are found by an index, and so are changes of all projects", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const plan = await transact(db, async (tx) => {
    await sql`set local enable_seqscan = off`.execute(tx)
    const ask = async (where: ReturnType<typeof sql>) =>
      JSON.stringify(
        (await sql`explain (format json) select id from compute.server where ${where}`.execute(tx)).rows,
      )
    return [
      await ask(sql`deleted_at < now() - interval '1 day' order by deleted_at limit 500`),
      await ask(sql`updated_at >= now() - interval '1 min'`),
    ]
  })
  assert.match(plan[0] ?? "", /"Index Name":"server_deleted"/)
  assert.match(plan[1] ?? "", /"Index Name":"server_changed"/)
})
