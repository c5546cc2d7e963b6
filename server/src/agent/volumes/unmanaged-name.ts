import { invalid } from "../../platform/fault/fault.ts"

/** So that `.2` and the like have room behind it. */
const bytesMost = 240

/** Names that operators give become names of files: of one directory, shown, and nothing that a terminal obeys. */
export function isUnmanagedName(text: string): boolean {
  return /^[^./\p{Cc}][^/\p{Cc}]*$/u.test(text) && Buffer.byteLength(text) <= bytesMost
}

export function checkUnmanagedName(text: string): string {
  if (isUnmanagedName(text)) return text
  throw invalid(
    "name",
    `A name of data is of 1 to ${bytesMost} bytes, without "/" and with no "." at its begin.`,
  )
}
