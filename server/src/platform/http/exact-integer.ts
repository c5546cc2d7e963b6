// Integers beyond what a JavaScript number holds, written with all their digits. Most clients read them exactly.

declare global {
  interface JSON {
    /** ECMAScript 2026; the text stands in the JSON as it is. */
    rawJSON(text: string): object
  }
}

export function exactInteger(value: bigint): object {
  return JSON.rawJSON(String(value))
}
