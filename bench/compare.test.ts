import assert from "node:assert/strict"
import { test } from "node:test"
import { comparison, differences } from "./compare.ts"
import { type Figure, format, isMet, type Measure, median, percentile, type RunRecord } from "./report.ts"

function record(commit: string, ...figures: [what: string, ...measures: Measure[]][]): RunRecord {
  const machine = { processor: "", processors: 2, memoryMb: 1, kernel: "", node: "" }
  const all = figures.map(([what, ...measures]): Figure => ({ part: "api", what, measures, loadAverage: 1 }))
  return { startedAt: "2026-01-01T00:00:00.000Z", commit, command: "", machine, figures: all }
}

test("more of a rate is better, more of a time is worse, and a tenth is nothing", () => {
  const rate = (value: number): Measure => ({ name: "", value, unit: "/s" })
  const time = (value: number): Measure => ({ name: "median", value, unit: "ms" })
  const before = record("a", ["list", rate(100), time(10)], ["create", time(10)], ["gone", time(1)])
  const after = record("b", ["list", rate(300), time(30)], ["create", time(10.5)], ["new", time(1)])
  const found = differences(before, after).map(({ what, ratio, verdict }) => [what, ratio, verdict])
  assert.deepEqual(found, [
    ["list", 3, "better"],
    ["list", 3, "worse"],
    ["create", 1.05, "same"],
  ])
  const text = comparison(before, after)
  assert.match(text, /list: median +10\.0 ms +30\.0 ms +3\.00x {2}worse/)
  assert.match(text, /only before: api\/gone/)
  assert.match(text, /only after: api\/new/)
})

test("a target is the least rate and the most time", () => {
  assert.equal(isMet({ name: "", value: 2_499, unit: "/s", target: 2_500 }), false)
  assert.equal(isMet({ name: "", value: 2_500, unit: "/s", target: 2_500 }), true)
  assert.equal(isMet({ name: "", value: 41, unit: "ms", target: 40 }), false)
  assert.equal(isMet({ name: "", value: 41, unit: "ms" }), undefined)
})

test("middle, percentile, and how numbers are written", () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([1, 2, 3, 10]), 2.5)
  assert.ok(Number.isNaN(median([])))
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
  assert.equal(percentile(hundred, 0.99), 100)
  assert.equal(percentile([7], 0.99), 7)
  assert.deepEqual(
    [format(1.234, "ms"), format(12.34, "s"), format(1234.5, "/s"), format(3, "processes"), format(1.5, "x")],
    ["1.23 ms", "12.3 s", "1235/s", "3 processes", "1.50x"],
  )
})
