// A copy that is taken up from a restored backup asks no host for anything.
import assert from "node:assert/strict"
import { test } from "node:test"
import type { StepContext } from "../../engine/saga/saga.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { serverSuperseded } from "../faults.ts"
import { liveMigrateSaga } from "./live-migrate.saga.ts"

test("a copy of before a restored backup is given up, and lets no guest go on", async () => {
  const { definition } =
    liveMigrateSaga.steps.find(({ name }) => name === "copy") ?? assert.fail("no such step")
  const claim = { from: "a", to: "b", zone: "nova", epoch: 1 }
  // Whatever else it would look at or ask is not there.
  const known = { ctx: { epoch: { number: 2 } }, params: { serverId: newUuid() }, out: { claim } }
  const context = known as unknown as StepContext<object, object>
  await assert.rejects(async () => definition.do(context), serverSuperseded.is)
  await definition.undo?.(context)
})
