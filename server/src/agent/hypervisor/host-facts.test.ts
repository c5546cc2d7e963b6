import assert from "node:assert/strict"
import { test } from "node:test"
import { parseCpuInfo, parseMemTotalMib, uptimeLine } from "./host-facts.ts"

const processor = (id: number, physical: number) =>
  [
    `processor\t: ${id}`,
    "vendor_id\t: GenuineIntel",
    "model name\t: Some CPU @ 2.00GHz",
    `physical id\t: ${physical}`,
    "cpu cores\t: 2",
    "flags\t\t: fpu sse2",
  ].join("\n")

test("sockets, cores and threads are told from /proc/cpuinfo", () => {
  const text = `${[0, 1, 2, 3, 4, 5, 6, 7].map((id) => processor(id, id >> 2)).join("\n\n")}\n\n`
  assert.deepEqual(parseCpuInfo(text), {
    count: 8,
    info: {
      vendor: "Intel",
      model: "Some CPU @ 2.00GHz",
      arch: "x86_64",
      topology: { sockets: 2, cores: 2, threads: 2 },
      features: ["fpu", "sse2"],
    },
  })
})

test("memory is told from /proc/meminfo", () => {
  assert.equal(parseMemTotalMib("MemTotal:       24607232 kB\nMemFree: 1 kB\n"), 24_030)
})

test("the uptime reads as uptime(1) prints it", () => {
  const now = new Date("2026-01-02T03:04:05Z")
  const tail = ",  0 users,  load average: 0.50, 1.00, 12.25"
  const line = (upSeconds: number) => uptimeLine(now, upSeconds, [0.5, 1, 12.25])
  assert.equal(line(59), ` 03:04:05 up 0 min${tail}`)
  assert.equal(line(2 * 3600 + 180), ` 03:04:05 up  2:03${tail}`)
  assert.equal(line(86_400 + 60), ` 03:04:05 up 1 day, 1 min${tail}`)
  assert.equal(line(11 * 86_400 + 12 * 3600), ` 03:04:05 up 11 days, 12:00${tail}`)
})
