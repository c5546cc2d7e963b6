// Password hashes in passlib's text form: `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`, base64 without padding.
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto"

export interface HashCost {
  /** Binary logarithm of scrypt's N: each step doubles time and memory. */
  ln: number
  r: number
  p: number
}

const hashBytes = 32

export async function hashPassword(password: string, cost: HashCost): Promise<string> {
  const salt = randomBytes(16)
  const hash = await derive(password, salt, cost)
  return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${unpadded(salt)}$${unpadded(hash)}`
}

const form = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

export async function verifyPassword(password: string, encoded: string): Promise<boolean> {
  const match = form.exec(encoded)
  if (!match) return false
  const cost = { ln: Number(match[1]), r: Number(match[2]), p: Number(match[3]) }
  const wanted = Buffer.from(match[5] ?? "", "base64")
  const have = await derive(password, Buffer.from(match[4] ?? "", "base64"), cost, wanted.length)
  return timingSafeEqual(have, wanted)
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "")
}

function derive(password: string, salt: Buffer, cost: HashCost, length = hashBytes): Promise<Buffer> {
  const N = 2 ** cost.ln
  const options: ScryptOptions = {
    N,
    r: cost.r,
    p: cost.p,
    maxmem: 128 * N * cost.r + 1024 * 1024 * cost.p + 65536,
  }
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, key) => (error ? reject(error) : resolve(key)))
  })
}
