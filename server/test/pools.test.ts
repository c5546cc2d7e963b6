// Requests and work have connections of their own: when one kind has none left, the other goes on, and nobody hangs.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import pg from "pg"
import { eventually } from "../src/platform/clock/clock.ts"
import { transact } from "../src/platform/db/database.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({
    overrides: {
      "database.requestConnections": 2,
      "database.workConnections": 4,
      "database.connectionWaitMs": 300,
      "database.requestLockTimeoutMs": 5_000,
    },
  })
})
after(async () => {
  await c[Symbol.asyncDispose]()
})

test("with every connection for work taken, requests are answered", async () => {
  const { db } = c.cloud.cloud.platform
  const letGo = Promise.withResolvers<void>()
  const taken = Array.from({ length: 4 }, () => {
    const began = Promise.withResolvers<void>()
    const done = transact(db, async () => {
      began.resolve()
      await letGo.promise
    })
    // The loops take one now and then: each try waits its turn.
    return { began: Promise.race([began.promise, done]), done }
  })
  await Promise.all(taken.map((each) => each.began))
  try {
    const key = { keypair: { name: "while-busy" } }
    const made = await c.call("POST", "/os-keypairs", key, { version: "2.1" })
    assert.equal(made.status, 200)
  } finally {
    letGo.resolve()
    await Promise.all(taken.map((each) => each.done))
  }
})

test("with every connection for requests taken, a request is told to come again, and work goes on", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  // Its saga is under way when the requests have nothing left.
  c.cloud.hypervisor.setControl({ delayMs: 600_000 })
  assert.equal((await c.act(id, { "os-stop": null })).status, 202)
  await eventually("it to be under way", () => c.cloud.hypervisor.underWay > 0)
  const blocker = new pg.Client({ connectionString: c.cloud.database.connectionString })
  await blocker.connect()
  try {
    await blocker.query("begin; lock table compute.keypair in access exclusive mode")
    const waiting = Array.from({ length: 2 }, () => c.call("GET", "/os-keypairs"))
    const waits = async () => {
      const { rows } = await c.cloud.database.pool.query(
        "select count(*)::int as n from pg_locks where not granted and relation = 'compute.keypair'::regclass",
      )
      return rows[0].n === 2
    }
    await eventually("both requests to wait for the lock", waits)
    const refused = await c.call("GET", "/servers")
    assert.equal(refused.status, 503)
    assert.ok(refused.headers.get("retry-after"))
    c.cloud.hypervisor.setControl({ delayMs: 0 })
    await eventually("the server to be stopped meanwhile", async () => {
      const { rows } = await c.cloud.database.pool.query(
        "select vm_state from compute.server where id = $1",
        [id],
      )
      return rows[0].vm_state === "stopped"
    })
    await blocker.query("rollback")
    for (const reply of await Promise.all(waiting)) assert.equal(reply.status, 200)
  } finally {
    c.cloud.hypervisor.setControl({ delayMs: 0 })
    await blocker.end()
  }
})
