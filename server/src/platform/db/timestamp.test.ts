import assert from "node:assert/strict"
import { test } from "node:test"
import pg from "pg"
import { parseTimestamp } from "./timestamp.ts"

test("timestamps are what the general parser makes of them", () => {
  const parseAny: (text: string) => unknown = pg.types.getTypeParser(1184)
  const texts = [
    "2026-11-21 17:00:41+00",
    "2026-11-21 17:00:41.9+00",
    "2026-11-21 17:00:41.944+00",
    "2026-11-21 17:00:41.944999+00",
    "2024-02-29 23:59:59.000001+00",
    "1969-12-31 23:59:59.5+00",
    "0099-01-01 00:00:00+00",
    "12026-01-01 00:00:00+00",
    "0044-03-15 12:00:00+00 BC",
    "2026-11-21 17:00:41.944+01",
    "2026-11-21 17:00:41+05:30",
    "infinity",
    "-infinity",
  ]
  for (const text of texts) assert.deepEqual(parseTimestamp(text), parseAny(text), text)
})
