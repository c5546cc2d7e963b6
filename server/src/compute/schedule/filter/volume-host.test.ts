import assert from "node:assert/strict"
import { test } from "node:test"
import { hostState, scheduleOptions, scheduleRequest } from "../../testing/schedule-case.ts"
import { volumeHostFilter } from "./volume-host.ts"

/** `a/b`: it lies on a, and b reaches it. */
const request = (...volumes: string[]) =>
  scheduleRequest({
    volumeHosts: volumes.map((each) => {
      const [host = "", ...others] = each.split("/")
      return { host, others }
    }),
  })
const refuse = (host: string, ...volumes: string[]) =>
  volumeHostFilter.refuse(hostState(host), request(...volumes), scheduleOptions())

test("a server comes to the host of its volumes, and to none when they lie on several", () => {
  assert.equal(volumeHostFilter.isAsked?.(request(), scheduleOptions()), false)
  assert.equal(refuse("a", "a"), null)
  assert.match(String(refuse("b", "a")?.why), /lies on a/)
  assert.match(String(refuse("a", "a", "b")?.why), /several hosts: a, b/)
  assert.doesNotMatch(String(refuse("b", "a")?.forUser), / a,/, "hosts are for operators")
  assert.deepEqual(volumeHostFilter.narrow?.(request("a")), { hosts: ["a"] })
  assert.deepEqual(volumeHostFilter.narrow?.(request("a", "b")), { hosts: [] })
})

test("a server comes to any host that reaches all of its volumes", () => {
  for (const host of ["a", "b", "c"]) assert.equal(refuse(host, "a/b/c"), null)
  assert.match(String(refuse("d", "a/b/c")?.why), /lies on a/)
  assert.deepEqual(volumeHostFilter.narrow?.(request("a/b/c", "b")), { hosts: ["b"] })
  assert.equal(refuse("b", "a/b/c", "b"), null)
  assert.match(String(refuse("a", "a/b/c", "b")?.why), /lies on b/)
  assert.deepEqual(volumeHostFilter.narrow?.(request("a/b", "c/b")), { hosts: ["b"] })
})
