import assert from "node:assert/strict"
import { test } from "node:test"
import { rangeNotSatisfiable } from "../faults.ts"
import { parseContentRange, parseRange } from "./range.ts"

test("ranges of a request", () => {
  assert.deepEqual(parseRange("bytes=0-0", 10), { start: 0, end: 0 })
  assert.deepEqual(parseRange("bytes=4-", 10), { start: 4, end: 9 })
  assert.deepEqual(parseRange("bytes=4-100", 10), { start: 4, end: 9 })
  assert.deepEqual(parseRange("bytes=-3", 10), { start: 7, end: 9 })
  assert.deepEqual(parseRange("bytes=-30", 10), { start: 0, end: 9 })
  assert.deepEqual(parseRange(" Bytes  = 4 \t -  5 ", 10), { start: 4, end: 5 })
})

test("what is no single range within the data is refused", () => {
  for (const text of [
    "bytes=10-",
    "bytes=5-4",
    "bytes=-0",
    "bytes=",
    "bytes=-",
    "items=0-1",
    "bytes=0-1,4-5",
    "x",
  ])
    assert.throws(
      () => parseRange(text, 10),
      (e) => rangeNotSatisfiable.is(e),
      text,
    )
  assert.throws(
    () => parseRange("bytes=-1", 0),
    (e) => rangeNotSatisfiable.is(e),
  )
})

test("ranges as old clients write them", () => {
  assert.deepEqual(parseContentRange("bytes 2-5/10", 10), { start: 2, end: 5 })
  assert.deepEqual(parseContentRange("bytes 2-5/*", 10), { start: 2, end: 5 })
  for (const text of ["bytes 5-2/10", "bytes 0-10/10", "2-5/10"])
    assert.throws(
      () => parseContentRange(text, 10),
      (e) => rangeNotSatisfiable.is(e),
      text,
    )
})
