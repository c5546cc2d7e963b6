import assert from "node:assert/strict"
import { test } from "node:test"
import { lastAuditPeriod } from "./audit-log.ts"

const periods: readonly [before: string, start: string, end: string][] = [
  ["2026-11-28T20:00:00Z", "2026-10-01", "2026-11-01"],
  ["2026-02-10T00:00:00Z", "2026-01-01", "2026-02-01"],
  ["2026-01-31T23:59:59Z", "2025-12-01", "2026-01-01"],
  // At its very end a month is not over.
  ["2026-11-01T00:00:00Z", "2026-09-01", "2026-10-01"],
  ["2026-11-01T00:00:00.001Z", "2026-10-01", "2026-11-01"],
  ["2026-01-01T00:00:00Z", "2025-11-01", "2025-12-01"],
  ["0099-03-15T00:00:00Z", "0099-02-01", "0099-03-01"],
]

for (const [before, start, end] of periods) {
  test(`the last month before ${before}`, () => {
    const period = lastAuditPeriod(new Date(before))
    assert.equal(period.start.toISOString(), `${start}T00:00:00.000Z`)
    assert.equal(period.end.toISOString(), `${end}T00:00:00.000Z`)
  })
}
