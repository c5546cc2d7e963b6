// Many servers by one request: bounded, and the project's quota is held for a handful of statements.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { createServers } from "../src/compute/index.ts"
import { serverWish } from "../src/compute/testing/server-case.ts"
import { createSagaRunner } from "../src/engine/saga/runner.ts"
import type { Platform } from "../src/platform/context/context.ts"
import { statementsOf } from "./count-statements.ts"
import { callerOf, contextOf, running } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({
    overrides: {
      ...{ "compute.quota.instances": -1, "compute.quota.cores": -1, "compute.quota.ram": -1 },
      "network.quotaPorts": -1,
    },
    capacity: { vcpus: 4_000, ramMib: 4_000_000, diskGib: 100_000 },
  })
})
after(() => c[Symbol.asyncDispose]())

test("a hundred servers cost as many statements as a few", async () => {
  const { platform } = c.cloud.cloud
  const caller = await callerOf(c)
  const { engine } = platform.config
  // Records the sagas and runs none: the cloud finds them by itself.
  const runner = createSagaRunner({
    config: engine,
    bus: platform.bus,
    clock: platform.clock,
    log: platform.log,
  })
  const recording = Object.assign(Object.create(platform) as Platform, { sagas: runner })
  const cost = async (count: number) => {
    const ctx = contextOf(recording, caller)
    const wish = { ...serverWish(c), networks: "none" as const, minCount: count, maxCount: count }
    return (await statementsOf(() => createServers(ctx, wish))).length
  }
  await cost(1) // what is looked up once is known from now on
  const [few, many] = [await cost(2), await cost(100)]
  assert.equal(many, few)
  assert.ok(few <= 9, `${few} statements`)
})

test("more than may be made by one request is refused in words", async () => {
  const wish = { name: "m", imageRef: c.imageId, flavorRef: c.flavorId, networks: "none" }
  const reply = await c.call("POST", "/servers", { server: { ...wish, min_count: 1, max_count: 3_000 } })
  assert.equal(reply.status, 400)
  assert.match(reply.body.badRequest.message, /max_count.* 3000 is greater than the maximum of 1000/)
})

test("what one server costs from its request to its start", async () => {
  const { platform } = c.cloud.cloud
  const caller = await callerOf(c)
  const make = async () => {
    const { ctx, settled } = running(platform, caller)
    await createServers(ctx, serverWish(c))
    await settled()
  }
  await make()
  // With what carries its port to the engine; without this test's own looks at the saga.
  const isLook = (text: string) => text.includes("from engine.saga where id =")
  const statements = (await statementsOf(make)).filter((text) => !isLook(text))
  const lines = statements.map((text) => text.replaceAll(/\s+/g, " ").trim().slice(0, 150))
  assert.ok(statements.length <= 35, `${statements.length} statements:\n${lines.join("\n")}`)
})
