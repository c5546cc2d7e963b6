import assert from "node:assert/strict"
import { test } from "node:test"
import { fault } from "../platform/fault/fault.ts"
import { asksOf, checkRoom, type HeldQuota, roomOf } from "./enforce.ts"
import { checkSettable } from "./settable.ts"

type Resource = "instances" | "cores" | "ram"

const of = (limit: number, used: number, unit = 1) => ({ limit, used, unit })
const every = (value: number, over: Partial<Record<Resource, number>> = {}): Record<Resource, number> => ({
  instances: value,
  cores: value,
  ram: value,
  ...over,
})

test("room is what the scarcer of the two limits leaves, as it is counted", () => {
  const held: HeldQuota<Resource> = {
    ofProject: { cores: of(9, 2), instances: of(-1, 0), ram: of(2, 100, 1024) },
    ofUser: { cores: of(4, 1) },
  }
  assert.equal(roomOf(held, "cores"), 3)
  assert.equal(roomOf(held, "instances"), Number.POSITIVE_INFINITY)
  assert.equal(roomOf(held, "ram"), 1948)
})

test("what is short is named with its figures: of the project, else of the user", () => {
  const project = { cores: of(4, 3), ram: of(1, 1500, 1024), instances: of(-1, 9) }
  const held: HeldQuota<Resource> = { ofProject: project, ofUser: { cores: of(3, 3) } }
  checkRoom(held, { instances: 50 })
  assert.throws(() => checkRoom(held, { cores: 2, ram: 1 }), {
    detail: {
      shortages: [
        { resource: "cores", asked: 2, used: 3, limit: 4 },
        { resource: "ram", asked: 1, used: 1, limit: 1 },
      ],
    },
  })
  assert.throws(() => checkRoom(held, { cores: 1 }), {
    detail: { shortages: [{ resource: "cores", asked: 1, used: 3, limit: 3 }] },
  })
})

test("owners are asked for once each, and nobody's things not at all", () => {
  assert.deepEqual(asksOf(["b", "a", "b", ""], { cores: 2 }), [
    { projectId: "b", add: { cores: 4 } },
    { projectId: "a", add: { cores: 2 } },
  ])
})

const message = (resource: string, limit: number, bound: number) => `${resource} ${limit} ${bound}`
const refusals = {
  belowUsage: fault("invalid", "test.below_usage", message),
  aboveProject: fault("invalid", "test.above_project", message),
}

test("a project's limit may not go below what is used or given to users", () => {
  const facts = { used: every(3), limits: every(20), given: { cores: 8 }, own: null }
  checkSettable({ instances: 3, cores: 8, ram: -1 }, facts, refusals)
  assert.throws(() => checkSettable({ instances: 2 }, facts, refusals), { message: "instances 2 3" })
  assert.throws(() => checkSettable({ cores: 7 }, facts, refusals), { message: "cores 7 8" })
})

test("a user's limit may not go above what the project has left", () => {
  const facts = { used: every(3), limits: every(20, { ram: -1 }), given: { cores: 8 }, own: { cores: 5 } }
  checkSettable({ cores: 17, ram: -1, instances: 20 }, facts, refusals)
  assert.throws(() => checkSettable({ cores: 18 }, facts, refusals), { code: "test.above_project" })
  assert.throws(() => checkSettable({ cores: -1 }, facts, refusals), { code: "test.above_project" })
  assert.throws(() => checkSettable({ cores: 2 }, facts, refusals), { code: "test.below_usage" })
})
