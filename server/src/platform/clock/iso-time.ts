/** `2026-01-31T12:00:00Z`: as most APIs of OpenStack show times, cut to whole seconds. */
export function secondsText(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

/** `2026-01-31T12:00:00.123000`: as Python writes a time that has no zone. */
export function microsText(time: Date): string {
  return `${time.toISOString().slice(0, 23)}000`
}
