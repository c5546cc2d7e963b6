import assert from "node:assert/strict"
import { test } from "node:test"
import { aggregate, hostState, room, scheduleOptions, scheduleRequest } from "../testing/schedule-case.ts"
import { askedBy, chooseHosts, refusalOf } from "./choose.ts"
import type { ScheduleOptions } from "./config.ts"
import type { HostState } from "./host-state.ts"
import { makeScheduler } from "./plugins.ts"
import type { ScheduleRequest } from "./request.ts"

const scheduler = await makeScheduler(scheduleOptions())
const ram = (used: number) => ({ rooms: { MEMORY_MB: room(1000, used) } })

async function names(
  hosts: readonly HostState[],
  over: Partial<ScheduleRequest> = {},
  options: Partial<ScheduleOptions> = {},
  lots: number[] = [],
): Promise<string[]> {
  const made = Object.keys(options).length === 0 ? scheduler : await makeScheduler(scheduleOptions(options))
  const request = scheduleRequest(over)
  return chooseHosts(hosts, request, askedBy(made, request), () => lots.shift() ?? 0).map((h) => h.name)
}

test("the host with the most free memory comes first; the least, when the multiplier is below 0", async () => {
  const hosts = [hostState("a", ram(900)), hostState("b", ram(100))]
  assert.deepEqual(await names(hosts), ["b", "a"])
  assert.deepEqual(await names(hosts, {}, { ramWeightMultiplier: -1 }), ["a", "b"])
})

test("of hosts that are nearly as free any may come first", async () => {
  const hosts = [hostState("a", ram(110)), hostState("b", ram(120)), hostState("c", ram(900))]
  assert.deepEqual(await names(hosts, {}, {}, [0.1, 0.9, 0]), ["a", "b", "c"])
  assert.deepEqual(await names(hosts, {}, {}, [0.9, 0.1, 0]), ["b", "a", "c"])
  assert.deepEqual(await names(hosts, {}, { hostSubsetSize: 3 }, [0.9, 0.5, 0.1]), ["c", "b", "a"])
})

test("hosts that are down, disabled or in another zone are left out", async () => {
  const hosts = [
    hostState("down", { isUp: false }),
    hostState("off", { isDisabled: true }),
    hostState("far", { zone: "az2" }),
    hostState("good"),
  ]
  assert.deepEqual(await names(hosts, { zone: "nova" }), ["good"])
})

test("a forced host is taken although it is disabled", async () => {
  const hosts = [hostState("a"), hostState("b", { isDisabled: true })]
  assert.deepEqual(await names(hosts, { forcedHost: "b", zone: "elsewhere" }), ["b"])
  assert.deepEqual(await names(hosts, { forcedHost: "b", excludedHosts: ["b"] }), [])
})

test("a forced host that is down is not taken: nothing would be made there", async () => {
  const hosts = [hostState("a"), hostState("b", { isUp: false })]
  assert.deepEqual(await names(hosts, { forcedHost: "b" }), [])
})

test("soft policies of groups come before what is free", async () => {
  const hosts = [hostState("a", ram(900)), hostState("b")]
  const group = (policy: "soft-affinity" | "soft-anti-affinity", host: string) => ({
    group: { policy, members: new Map([[host, 1]]), maxPerHost: 1 },
  })
  assert.deepEqual(await names(hosts, group("soft-affinity", "a")), ["a", "b"])
  assert.deepEqual(await names(hosts, group("soft-anti-affinity", "b")), ["a", "b"])
})

test("builds that failed, servers being worked on, multipliers of aggregates", async () => {
  assert.deepEqual(await names([hostState("a", { failedBuilds: 1 }), hostState("b", ram(900))]), ["b", "a"])
  assert.deepEqual(await names([hostState("a", { ioOps: 3 }), hostState("b")]), ["b", "a"])
  const full = { ...ram(900), aggregates: [aggregate({ ram_weight_multiplier: "100" })] }
  assert.deepEqual(await names([hostState("a", full), hostState("b", ram(100))]), ["a", "b"])
})

test("what filters know beforehand narrows the question", () => {
  const request = scheduleRequest({ sameHosts: ["a", "b"], excludedHosts: ["a"], zone: "z" })
  const { narrowing, needs, filters } = askedBy(scheduler, request)
  assert.deepEqual(narrowing, { hosts: ["a", "b"], notHosts: ["a"], zone: "z", isServing: true })
  assert.deepEqual([...needs], ["ioOps"])
  assert.ok(!filters.some(({ name }) => name === "ComputeCapabilitiesFilter"), "no extra spec asks it")
  assert.equal(
    refusalOf(hostState("a", { zone: "z" }), request, askedBy(scheduler, request))?.filter,
    "RetryFilter",
  )
})

test("simple schedulers ask few filters", async () => {
  const hosts = [
    hostState("a", { rooms: { VCPU: room(8, 7) } }),
    hostState("b"),
    hostState("c", { zone: "z" }),
  ]
  const hint = { differentHosts: ["b"], zone: "nova" }
  assert.deepEqual(await names(hosts, hint, { scheduler: "simple" }), ["b", "a"])
  assert.deepEqual(await names(hosts, hint, { scheduler: "chance" }, [0.3, 0.2, 0.1]), ["c", "b", "a"])
})
