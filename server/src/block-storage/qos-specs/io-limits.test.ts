import assert from "node:assert/strict"
import { test } from "node:test"
import { ioLimitsOf, problemOfSpecs } from "./io-limits.ts"

test("the keys that a machine is held to are taken out of the specs, others are for others", () => {
  assert.equal(ioLimitsOf({}, 1), null)
  assert.equal(ioLimitsOf({ minBandwidth: "fast", total_bytes_sec: "0" }, 1), null)
  assert.deepEqual(
    ioLimitsOf({ total_bytes_sec: "1000", total_bytes_sec_max: "2000", vendor: "x", read_iops_sec: "7" }, 1),
    { total_bytes_sec: 1000, total_bytes_sec_max: 2000, read_iops_sec: 7 },
  )
  assert.deepEqual(ioLimitsOf({ total_iops_sec: "10", size_iops_sec: "4096" }, 1), {
    total_iops_sec: 10,
    size_iops_sec: 4096,
  })
})

test("limits by the size are made absolute, between their least and their most", () => {
  const perGib = { total_iops_sec_per_gb: "30", total_iops_sec_per_gb_min: "50", total_iops_sec_max: "80" }
  assert.deepEqual(
    [1, 2, 3, 100].map((size) => ioLimitsOf(perGib, size)),
    [50, 60, 80, 80].map((total_iops_sec) => ({ total_iops_sec })),
  )
  // It takes the place of the one without, and has no burst.
  assert.deepEqual(ioLimitsOf({ read_bytes_sec: "5", read_bytes_sec_per_gb: "7" }, 2), { read_bytes_sec: 14 })
  assert.deepEqual(ioLimitsOf({ read_bytes_sec_per_gb: String(10 ** 15) }, 9), { read_bytes_sec: 10 ** 15 })
})

test("what QEMU would refuse is refused, by the name of the key", () => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ total_bytes_sec: "fast" }, /^total_bytes_sec: 'fast' is no whole number/],
    [{ total_bytes_sec: "-1" }, /^total_bytes_sec: '-1'/],
    [{ read_iops_sec_per_gb: "1.5" }, /^read_iops_sec_per_gb: /],
    [{ total_bytes_sec: String(10 ** 15 + 1) }, /^total_bytes_sec: /],
    [{ total_bytes_sec: "1", read_bytes_sec: "1" }, /^total_bytes_sec: .*exclude/],
    [{ total_iops_sec_per_gb: "1", write_iops_sec: "1" }, /^total_iops_sec: .*exclude/],
    [{ total_bytes_sec_max: "10" }, /^total_bytes_sec_max: .*needs total_bytes_sec/],
    [{ total_bytes_sec: "10", total_bytes_sec_max: "9" }, /^total_bytes_sec_max: it is less/],
    [{ write_iops_sec: "10", write_iops_sec_max_length: "9" }, /^write_iops_sec_max_length: /],
    [
      { write_iops_sec: "9", write_iops_sec_max: String(10 ** 15), write_iops_sec_max_length: "2" },
      /^write_iops_sec_max_length: /,
    ],
    [{ size_iops_sec: "4096", total_bytes_sec: "1" }, /^size_iops_sec: /],
  ]
  for (const [specs, why] of refused) assert.match(problemOfSpecs(specs) ?? "nothing", why)
  const fine = [
    {},
    { anything: "goes" },
    { total_bytes_sec: "1", read_iops_sec: "1", write_iops_sec: "1" },
    { total_bytes_sec: "0", read_bytes_sec: "1" },
    { total_iops_sec_per_gb: "9", total_iops_sec_max: "1" },
  ]
  for (const specs of fine) assert.equal(problemOfSpecs(specs), null)
})
