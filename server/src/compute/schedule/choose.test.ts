import assert from "node:assert/strict"
import { test } from "node:test"
import {
  chooseHosts,
  describeRefusals,
  explainRefusals,
  type HostFacts,
  type ScheduleRequest,
} from "./choose.ts"

const host = (name: string, over: Partial<HostFacts> = {}): HostFacts => ({
  name,
  providerId: `p-${name}`,
  isUp: true,
  isDisabled: false,
  zone: "nova",
  ramMib: 1000,
  ramUsedMib: 0,
  ...over,
})
const request = (over: Partial<ScheduleRequest> = {}): ScheduleRequest => ({
  zone: null,
  forcedHost: null,
  excludedHosts: [],
  sameHosts: null,
  differentHosts: [],
  group: null,
  ...over,
})
const names = (hosts: readonly HostFacts[], over?: Partial<ScheduleRequest>) =>
  chooseHosts(hosts, request(over)).hosts.map((h) => h.name)

test("the host with the most free memory comes first", () => {
  assert.deepEqual(names([host("a", { ramUsedMib: 900 }), host("b", { ramUsedMib: 100 })]), ["b", "a"])
})

test("of hosts that are nearly as free any may come first", () => {
  const hosts = [
    host("a", { ramUsedMib: 110 }),
    host("b", { ramUsedMib: 120 }),
    host("c", { ramUsedMib: 900 }),
  ]
  const order = (lots: number[]) =>
    chooseHosts(hosts, request(), () => lots.shift() ?? 0).hosts.map((h) => h.name)
  assert.deepEqual(order([0.1, 0.9, 0]), ["a", "b", "c"])
  assert.deepEqual(order([0.9, 0.1, 0]), ["b", "a", "c"])
})

test("hosts that are down, disabled or in another zone are left out and say why", () => {
  const hosts = [
    host("down", { isUp: false }),
    host("off", { isDisabled: true }),
    host("far", { zone: "az2" }),
    host("good"),
  ]
  const choice = chooseHosts(hosts, request({ zone: "nova" }))
  assert.deepEqual(
    choice.hosts.map((h) => h.name),
    ["good"],
  )
  assert.deepEqual([...choice.refused.keys()], ["down", "off", "far"])
  assert.match(describeRefusals(choice.refused), /down: it is down; off: it is disabled; far: it is not in/)
  const told = "There are not enough hosts available (left out by the request: it is not in zone nova)."
  assert.equal(explainRefusals(choice.refused), told, "users read of their request, not of the hosts")
  const down = chooseHosts([host("down", { isUp: false })], request())
  assert.equal(explainRefusals(down.refused), "There are not enough hosts available.")
})

test("a forced host is taken although it is disabled", () => {
  assert.deepEqual(names([host("a"), host("b", { isDisabled: true })], { forcedHost: "b" }), ["b"])
})

test("hints keep servers together or apart", () => {
  const hosts = [host("a"), host("b")]
  assert.deepEqual(names(hosts, { sameHosts: ["b"] }), ["b"])
  assert.deepEqual(names(hosts, { sameHosts: [] }), [])
  assert.deepEqual(names(hosts, { differentHosts: ["b"] }), ["a"])
  assert.deepEqual(names(hosts, { excludedHosts: ["a"] }), ["b"])
})

test("server groups", () => {
  const hosts = [host("a"), host("b")]
  const members = new Map([["a", 1]])
  const group = (policy: NonNullable<ScheduleRequest["group"]>["policy"]) => ({
    group: { policy, members, maxPerHost: 1 },
  })
  assert.deepEqual(names(hosts, group("affinity")), ["a"])
  assert.deepEqual(names(hosts, group("anti-affinity")), ["b"])
  assert.deepEqual(names(hosts, group("soft-affinity")), ["a", "b"])
  assert.deepEqual(names(hosts, group("soft-anti-affinity")), ["b", "a"])
})
