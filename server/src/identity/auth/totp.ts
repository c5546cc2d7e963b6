// Time-based one-time passwords: https://www.rfc-editor.org/rfc/rfc6238 with SHA-1, 6 digits, 30 seconds.
import { createHmac, timingSafeEqual } from "node:crypto"

const periodSeconds = 30
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

/** Null for text that is no base32. */
export function decodeBase32(text: string): Buffer | null {
  let bits = 0
  let value = 0
  const bytes: number[] = []
  const padded = text.trim().toUpperCase()
  let length = padded.length
  while (padded[length - 1] === "=") length--
  for (const char of padded.slice(0, length)) {
    const at = alphabet.indexOf(char)
    if (at < 0) return null
    value = ((value << 5) | at) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes.push((value >> bits) & 0xff)
    }
  }
  return Buffer.from(bytes)
}

export function totpCode(secret: Buffer, timeSeconds: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(timeSeconds / periodSeconds)))
  const digest = createHmac("sha1", secret).update(counter).digest()
  const offset = (digest[19] ?? 0) & 0x0f
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0")
}

/** The code of this half minute, or of the one before for clocks that are behind. */
export function isTotpCode(secret: Buffer, code: string, timeSeconds: number): boolean {
  const given = Buffer.from(code)
  return [0, periodSeconds].some((earlier) => {
    const wanted = Buffer.from(totpCode(secret, Math.max(0, timeSeconds - earlier)))
    return wanted.length === given.length && timingSafeEqual(wanted, given)
  })
}
