import assert from "node:assert/strict"
import { test } from "node:test"
import { renderMoveEvent } from "./move-render.ts"

const of = { id: "s1", name: "vm" }

test("each thing that happens is a line with the server, how, where to, how long, or why not", () => {
  const lines = [
    renderMoveEvent({ event: "begins", ...of, way: "live", isFound: false }),
    renderMoveEvent({ event: "begins", ...of, way: "cold", isFound: true }),
    renderMoveEvent({ event: "percent", ...of, percent: 40, to: "b" }),
    renderMoveEvent({ event: "percent", ...of, percent: 50, to: null }),
    renderMoveEvent({ event: "moved", ...of, way: "live", to: "b", ms: 3_210 }),
    renderMoveEvent({ event: "moved", ...of, way: "stops", to: "b", ms: 62_000 }),
    renderMoveEvent({ event: "moved", ...of, way: "cold", to: "b", ms: 3_660_000 }),
    renderMoveEvent({ event: "begins", ...of, way: "anew", isFound: false }),
    renderMoveEvent({ event: "moved", ...of, way: "anew", to: "b", ms: 3_210 }),
    renderMoveEvent({ event: "deleted", ...of }),
    renderMoveEvent({ event: "failed", ...of, why: "No valid host was found." }),
    renderMoveEvent({ event: "left", ...of, why: "it is suspended" }),
  ]
  assert.equal(
    lines.join(""),
    `s1  vm: goes while it runs
s1  vm: is on its way already, cold
s1  vm: 40 % is on b
s1  vm: 50 %
s1  vm: is on b, live, after 3.2 s
s1  vm: is on b, cold, and was stopped for it, after 1 min 2 s
s1  vm: is on b, cold, after 1 h 1 min
s1  vm: is made anew elsewhere
s1  vm: is on b, made anew, after 3.2 s
s1  vm: was deleted on the way
s1  vm: did not move: No valid host was found.
s1  vm: is left: it is suspended
`,
  )
})

test("the sum says whether the host is empty", () => {
  const sum = { event: "sum", host: "a", live: 2, cold: 1, anew: 0, left: 0, ms: 12_100 } as const
  assert.equal(renderMoveEvent(sum), "a is empty: 3 servers moved (2 live, 1 cold) in 12.1 s\n")
  assert.equal(
    renderMoveEvent({ ...sum, cold: 0, live: 1, left: 1 }),
    "1 server is left on a; 1 server moved (1 live, 0 cold) in 12.1 s\n",
  )
  assert.equal(
    renderMoveEvent({ ...sum, cold: 0, live: 0, left: 2 }),
    "2 servers are left on a; none moved\n",
  )
  assert.equal(renderMoveEvent({ ...sum, cold: 0, live: 0 }), "a is empty: none moved\n")
  assert.equal(
    renderMoveEvent({ ...sum, cold: 0, live: 0, anew: 3 }),
    "a is empty: 3 servers moved (3 made anew) in 12.1 s\n",
  )
})
