// A host or an engine that is away for long: what waits for it goes on when it is back, and can be given up meanwhile.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { noteHosts } from "../src/compute/host/report.ts"
import { reportAgents } from "../src/network/agent/agent.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({
    overrides: {
      "engine.sagaRetryFirstMs": 1,
      "engine.sagaRetryMostMs": 5,
      "engine.sagaWaitMostMs": 5,
      "engine.sagaPollMs": 20,
      "engine.sagaWaitAlarm": 3,
    },
  })
})
after(async () => {
  await c[Symbol.asyncDispose]()
})

async function sagaOf(serverId: string, name: string) {
  const { rows } = await c.cloud.database.pool.query(
    "select state, waits, last_error from engine.saga where resource_id = $1 and name = $2",
    [serverId, `compute.server.${name}`],
  )
  return rows[0] as { state: string; waits: number; last_error: string }
}

test("a creation waits for the network's engine, tells so, and goes on when it is back", async () => {
  c.cloud.network.failNext(1_000_000)
  const id = await c.create()
  await eventually("the saga to wait", async () => (await sagaOf(id, "create")).waits > 5)
  assert.equal((await c.show(id)).status, "BUILD")
  const { services } = c.cloud.cloud
  const sagas = (await services()).find((s) => s.name === "sagas")
  assert.match(sagas?.problem ?? "", /1 waiting since .*network was told to fail/)
  c.cloud.network.failNext(0)
  await c.reaches(id, "ACTIVE")
  assert.equal((await c.act(id, { "os-stop": null })).status, 202)
  await c.reaches(id, "SHUTOFF")
})

test("a server whose creation waits can be deleted", async () => {
  c.cloud.network.failNext(1_000_000)
  const id = await c.create()
  await eventually("the saga to wait", async () => (await sagaOf(id, "create")).waits > 5)
  assert.equal((await c.call("DELETE", `/servers/${id}`)).status, 204)
  await c.isGone(id)
  await eventually("the creation to end", async () => (await sagaOf(id, "create")).state === "unwound")
  c.cloud.network.failNext(0)
})

test("what waits goes on when its host, or the network, is back, and not at the end of its pause", async () => {
  const { platform } = c.cloud.cloud
  const pool = c.cloud.database.pool
  const waiting = async () => {
    c.cloud.network.failNext(1_000_000)
    const id = await c.create()
    await eventually("the saga to wait", async () => (await sagaOf(id, "create")).waits > 5)
    // While it rests: a claim would set its own end of the pause.
    await eventually("a long pause", async () => {
      const { rowCount } = await pool.query(
        "update engine.saga set run_at = now() + interval '1 hour' where resource_id = $1 and lease_until is null",
        [id],
      )
      return rowCount === 1
    })
    c.cloud.network.failNext(0)
    return id
  }
  const one = await waiting()
  const [host] = (await pool.query("select name, description from compute.host")).rows
  await noteHosts(platform, [host])
  assert.equal((await c.show(one)).status, "BUILD", "the host was not away")
  await pool.query("update compute.host set last_seen_at = now() - interval '1 minute'")
  await noteHosts(platform, [host])
  await c.reaches(one, "ACTIVE")
  const two = await waiting()
  await pool.query("update network.agent set problem = 'away'")
  await reportAgents(platform)
  await c.reaches(two, "ACTIVE")
})
