import assert from "node:assert/strict"
import { test } from "node:test"
import { parseCpuInfo, parseMemTotalMib } from "./host-facts.ts"

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
