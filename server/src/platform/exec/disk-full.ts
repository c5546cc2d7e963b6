// A full disk shows as an error code of the file system, or in the words of a program that met it.

const codes: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT"])
const words = /No space left on device|Disk quota exceeded/
const depthMost = 8

/** Whether a full disk is behind the error, through any wrapping. */
export function isDiskFull(error: unknown): boolean {
  for (let e: unknown = error, depth = 0; e instanceof Error && depth < depthMost; depth++) {
    if (("code" in e && codes.has(e.code)) || words.test(e.message)) return true
    e = e.cause
  }
  return false
}
