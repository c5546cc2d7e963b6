import assert from "node:assert/strict"
import { openTestDatabase } from "../../../test/database.ts"
import { testPlatform } from "../testing/platform.ts"
import { World, type WorldParams, worldSaga, worldSteps } from "../testing/world.ts"
import { sagaHarness } from "./harness.ts"

const nowhere = new World("postgres://nowhere")

sagaHarness<WorldParams>(worldSaga(nowhere), async () => {
  const database = await openTestDatabase()
  const world = new World(database.connectionString)
  await world.create()
  return {
    platform: testPlatform(database.db),
    saga: worldSaga(world),
    arrange: async () => ({ resource: "r" }),
    assertDone: async () => assert.deepEqual(await world.things("r"), [...worldSteps].sort()),
    assertUnwound: async () => assert.deepEqual(await world.things("r"), ["given-up"]),
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
})
