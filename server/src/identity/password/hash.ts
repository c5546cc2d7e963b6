// Password hashes in passlib's text form: `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`, base64 without padding.
import { randomBytes, timingSafeEqual } from "node:crypto"
import type { HashJob } from "./hash-thread.ts"

export interface HashCost {
  /** Binary logarithm of scrypt's N: each step doubles time and memory. */
  ln: number
  r: number
  p: number
}

const hashBytes = 32

/** Does the work of a hash; where is its own affair. */
export type Derive = (job: HashJob) => Promise<Buffer>

export async function hashPassword(password: string, cost: HashCost, derive: Derive): Promise<string> {
  const salt = randomBytes(16)
  const hash = await derive(jobOf(password, salt, cost, hashBytes))
  return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${unpadded(salt)}$${unpadded(hash)}`
}

const form = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

export async function verifyPassword(password: string, encoded: string, derive: Derive): Promise<boolean> {
  const match = form.exec(encoded)
  if (!match) return false
  const cost = { ln: Number(match[1]), r: Number(match[2]), p: Number(match[3]) }
  const wanted = Buffer.from(match[5] ?? "", "base64")
  const have = await derive(jobOf(password, Buffer.from(match[4] ?? "", "base64"), cost, wanted.length))
  return timingSafeEqual(have, wanted)
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "")
}

function jobOf(password: string, salt: Uint8Array, cost: HashCost, length: number): HashJob {
  const { r, p } = cost
  const N = 2 ** cost.ln
  return { password, salt, length, options: { N, r, p, maxmem: 128 * N * r + 1024 * 1024 * p + 65536 } }
}
