import assert from "node:assert/strict"
import { test } from "node:test"
import { openTestDatabase } from "../../../test/database.ts"
import { type Db, transact } from "../../platform/db/database.ts"
import { selectAction, selectActionEvents, selectActions } from "../server-action/read.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import { newServer } from "../testing/new-server.ts"
import type { Server } from "./server.ts"
import { actionRules } from "./state.ts"
import {
  changeServer,
  claimAgain,
  claimTask,
  insertServers,
  selectServer,
  selectServersForSync,
} from "./store.ts"

async function insertOne(db: Db, over: Parameters<typeof newServer>[0] = {}): Promise<Server> {
  const [server] = await transact(db, (tx) => insertServers(tx, [newServer(over)]))
  assert.ok(server)
  return server
}

async function insertActive(db: Db): Promise<Server> {
  const server = await insertOne(db)
  const active = await changeServer(db, server.id, server.generation, {
    vmState: "active",
    taskState: null,
    host: "h1",
    isLaunchedNow: true,
  })
  assert.ok(active)
  return active
}

test("of two requests for one server exactly one gets it", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  for (let round = 0; round < 10; round++) {
    const server = await insertActive(db)
    const claims = await Promise.all([
      transact(db, (tx) => claimTask(tx, server.id, actionRules.stop, false)),
      transact(db, (tx) => claimTask(tx, server.id, actionRules.rebootSoft, false)),
    ])
    assert.equal(claims.filter(Boolean).length, 1)
  }
})

test("a delete takes the server from the task that runs, which then changes nothing", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const server = await insertOne(db)
  const deleting = await transact(db, (tx) => claimTask(tx, server.id, actionRules.delete, false))
  assert.ok(deleting && deleting.generation > server.generation + 1)
  assert.equal(
    await changeServer(db, server.id, server.generation, { host: "h1", taskState: "spawning" }),
    undefined,
  )
  assert.equal(
    await transact(db, (tx) => claimAgain(tx, server.id, server.generation, "scheduling")),
    undefined,
  )
  const gone = await changeServer(db, server.id, deleting.generation, {
    vmState: "deleted",
    taskState: null,
    isDeletedNow: true,
  })
  assert.ok(gone?.deletedAt && gone.terminatedAt)
  assert.equal(await selectServer(db, server.id), undefined)
  assert.equal((await selectServer(db, server.id, { withDeleted: true }))?.vmState, "deleted")
})

test("a lock refuses the claim of users and not of administrators", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const server = await insertActive(db)
  await db.updateTable("compute.server").set({ locked_by: "owner" }).where("id", "=", server.id).execute()
  assert.equal(await transact(db, (tx) => claimTask(tx, server.id, actionRules.stop, false)), undefined)
  assert.ok(await transact(db, (tx) => claimTask(tx, server.id, actionRules.stop, true)))
})

test("the next attempt forgets the host and has a generation of its own", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const server = await insertOne(db)
  await changeServer(db, server.id, server.generation, { host: "h1", availabilityZone: "nova" })
  const again = await transact(db, (tx) => claimAgain(tx, server.id, server.generation, "scheduling"))
  assert.equal(again?.previousHost, "h1")
  assert.equal(again?.server.host, null)
  assert.ok((again?.server.generation ?? 0) > server.generation)
})

test("an action is ended once however often its end is told", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const server = await insertOne(db)
  const action = { serverId: server.id, action: "stop", requestId: "req-1", userId: "u1", projectId: "p1" }
  for (let i = 0; i < 2; i++) await transact(db, (tx) => recordActions(tx, [action]))
  const end = { serverId: server.id, requestId: "req-1", event: "compute_stop_instance", host: "h1" }
  await transact(db, (tx) => endAction(tx, { ...end, error: "no" }))
  await transact(db, (tx) => endAction(tx, { ...end, error: null }))
  const found = await selectAction(db, server.id, "req-1")
  assert.ok(found?.finishedAt)
  assert.equal(found.message, null)
  const events = await selectActionEvents(db, found.id)
  assert.deepEqual(
    events.map((e) => [e.event, e.result, e.details]),
    [["compute_stop_instance", "Success", null]],
  )
})

test("actions are paged newest first", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const server = await insertOne(db)
  const ids = ["req-1", "req-2", "req-3"]
  for (const requestId of ids)
    await transact(db, (tx) =>
      recordActions(tx, [{ serverId: server.id, action: "stop", requestId, userId: "u", projectId: "p1" }]),
    )
  const page = async (marker: string | null) =>
    (await selectActions(db, server.id, { limit: 2, marker }))?.map((a) => a.requestId)
  assert.deepEqual(await page(null), ["req-3", "req-2"])
  assert.deepEqual(await page("req-2"), ["req-1"])
  assert.equal(await page("req-9"), undefined)
})

test("the servers to compare with a host are its own and those it has machines of", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const own = await insertActive(db)
  const other = await insertOne(db)
  await insertOne(db)
  const found = await selectServersForSync(db, "h1", [other.id])
  assert.deepEqual([...found.keys()].sort(), [own.id, other.id].sort())
})
