import assert from "node:assert/strict"
import { test } from "node:test"
import { hostState, scheduleOptions, scheduleRequest } from "../../testing/schedule-case.ts"
import { volumeHostFilter } from "./volume-host.ts"

const request = (...volumeHosts: string[]) => scheduleRequest({ volumeHosts })
const refuse = (host: string, ...volumeHosts: string[]) =>
  volumeHostFilter.refuse(hostState(host), request(...volumeHosts), scheduleOptions())

test("a server comes to the host of its volumes, and to none when they lie on several", () => {
  assert.equal(volumeHostFilter.isAsked?.(request(), scheduleOptions()), false)
  assert.equal(refuse("a", "a"), null)
  assert.match(String(refuse("b", "a")?.why), /lies on a/)
  assert.match(String(refuse("a", "a", "b")?.why), /several hosts: a, b/)
  assert.doesNotMatch(String(refuse("b", "a")?.forUser), / a,/, "hosts are for operators")
  assert.deepEqual(volumeHostFilter.narrow?.(request("a")), { hosts: ["a"] })
  assert.deepEqual(volumeHostFilter.narrow?.(request("a", "b")), { hosts: [] })
})
