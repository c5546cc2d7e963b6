import assert from "node:assert/strict"
import { test } from "node:test"
import { type QuotaLimits, quotaResources } from "./resources.ts"
import { checkSettable } from "./settable.ts"
import { checkUserQuota, roomWithin } from "./user-quota.ts"

const every = (value: number, over: Partial<QuotaLimits> = {}): QuotaLimits => ({
  ...(Object.fromEntries(quotaResources.map((resource) => [resource, value])) as QuotaLimits),
  ...over,
})
const size = { instances: 1, cores: 2, ram: 512 }

test("room is what the scarcest limit leaves", () => {
  assert.equal(roomWithin(null, size, 7), 7)
  const quota = { limits: { cores: 9, ram: 99_999, instances: -1 }, used: every(0, { cores: 2 }) }
  assert.equal(roomWithin(quota, size, 7), 3)
  assert.equal(roomWithin(quota, { cores: 0 }, 7), 7)
})

test("what is over a user's limit is named with its figures", async () => {
  const quota = { limits: { cores: 4, key_pairs: 1, ram: -1 }, used: every(3) }
  await checkUserQuota(null, { cores: 100 })
  await checkUserQuota(quota, { cores: 1, ram: 1_000, instances: 50 })
  await assert.rejects(checkUserQuota(quota, { cores: 2, key_pairs: { add: 1, used: () => 1 } }), {
    detail: {
      shortages: [
        { resource: "cores", asked: 2, used: 3, limit: 4 },
        { resource: "key_pairs", asked: 1, used: 1, limit: 1 },
      ],
    },
  })
})

test("a project's limit may not go below what is used or given to users", () => {
  const facts = { used: every(3), limits: every(20), given: { cores: 8 }, own: null }
  checkSettable({ instances: 3, cores: 8, ram: -1 }, facts)
  assert.throws(() => checkSettable({ instances: 2 }, facts), { code: "compute.quota.below_usage" })
  assert.throws(() => checkSettable({ cores: 7 }, facts), { code: "compute.quota.below_usage" })
})

test("a user's limit may not go above what the project has left", () => {
  const facts = { used: every(3), limits: every(20, { ram: -1 }), given: { cores: 8 }, own: { cores: 5 } }
  checkSettable({ cores: 17, ram: -1, instances: 20 }, facts)
  assert.throws(() => checkSettable({ cores: 18 }, facts), { code: "compute.quota.above_project" })
  assert.throws(() => checkSettable({ cores: -1 }, facts), { code: "compute.quota.above_project" })
  assert.throws(() => checkSettable({ cores: 2 }, facts), { code: "compute.quota.below_usage" })
})
