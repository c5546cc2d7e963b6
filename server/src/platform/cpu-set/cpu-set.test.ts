import assert from "node:assert/strict"
import { test } from "node:test"
import { cpuRanges, parseCpuSet } from "./cpu-set.ts"

test("sets of processors are read as they are written, in any order, with what is left out", () => {
  assert.deepEqual(parseCpuSet("0-3,^2"), [0, 1, 3])
  assert.deepEqual(parseCpuSet(" 5, 1-2 ,^1 - 1"), [2, 5])
  assert.deepEqual(parseCpuSet("^0,0-1"), [1])
  assert.deepEqual(parseCpuSet(""), [])
  for (const wrong of ["a", "3-1", "1-", "-1", "0-99999999", "4096", "1;2"])
    assert.ok("mistake" in parseCpuSet(wrong), wrong)
})

test("they are written in ranges", () => {
  assert.deepEqual(cpuRanges([5, 0, 1, 2]), ["0-2", "5"])
  assert.deepEqual(cpuRanges([]), [])
})
