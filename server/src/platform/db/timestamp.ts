// timestamptz as PostgreSQL writes it (`2026-01-31 12:00:00.123456+00`) to a Date. Every row has some, and the general
// parser takes four times as long; it stays for whatever does not look like this.
import pg from "pg"

const timestamptz = 1184
const parseAny: (text: string) => Date = pg.types.getTypeParser(timestamptz)

const digit = (text: string, at: number) => text.charCodeAt(at) - 48
const twoDigits = (text: string, at: number) => digit(text, at) * 10 + digit(text, at + 1)

/** Year of four digits, UTC, with or without a fraction. */
const usual = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?\+00$/

export function parseTimestamp(text: string): Date {
  if (!usual.test(text)) return parseAny(text)
  let ms = 0
  const end = text.length - 3
  for (let at = 20, scale = 100; at < end && scale >= 1; at++, scale /= 10) ms += digit(text, at) * scale
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2)
  // Date.UTC takes these for years of the twentieth century.
  if (year < 100) return parseAny(text)
  return new Date(
    Date.UTC(
      year,
      twoDigits(text, 5) - 1,
      twoDigits(text, 8),
      twoDigits(text, 11),
      twoDigits(text, 14),
      twoDigits(text, 17),
      ms,
    ),
  )
}
