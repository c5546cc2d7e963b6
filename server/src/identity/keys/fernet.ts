// The Fernet format: https://github.com/fernet/spec/blob/master/Spec.md
// Key: 16 bytes for the HMAC, 16 for AES-128. Message: 0x80, seconds, IV, AES-CBC text, HMAC-SHA256 over all before.
import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from "node:crypto"

export interface FernetKey {
  readonly signing: Buffer
  readonly encryption: Buffer
}

export interface FernetMessage {
  payload: Buffer
  timestampSeconds: number
}

const version = 0x80
const headerBytes = 1 + 8 + 16
const hmacBytes = 32

/** A new key in its text form (44 characters of base64url). */
export function newFernetKeyText(): string {
  return paddedBase64(randomBytes(32))
}

export function parseFernetKey(text: string): FernetKey {
  const bytes = Buffer.from(text.trim(), "base64url")
  if (bytes.length !== 32) throw new Error("a Fernet key has 32 bytes in base64url")
  return { signing: bytes.subarray(0, 16), encryption: bytes.subarray(16) }
}

/** The message without its `=` padding, as Keystone hands out tokens. */
export function encryptFernet(key: FernetKey, payload: Buffer, timestampSeconds: number): string {
  const header = Buffer.alloc(headerBytes)
  header[0] = version
  header.writeBigUInt64BE(BigInt(timestampSeconds), 1)
  const iv = randomBytes(16)
  iv.copy(header, 9)
  const cipher = createCipheriv("aes-128-cbc", key.encryption, iv)
  const signed = Buffer.concat([header, cipher.update(payload), cipher.final()])
  return Buffer.concat([signed, createHmac("sha256", key.signing).update(signed).digest()]).toString(
    "base64url",
  )
}

/** Opens a message with the first key that signed it; null when none did or it is not a message at all. */
export function decryptFernet(keys: readonly FernetKey[], text: string): FernetMessage | null {
  if (!text.startsWith("gAAAA")) return null
  const bytes = Buffer.from(text, "base64url")
  if (bytes.length < headerBytes + 16 + hmacBytes || bytes[0] !== version) return null
  const signed = bytes.subarray(0, -hmacBytes)
  const mac = bytes.subarray(-hmacBytes)
  for (const key of keys) {
    if (!timingSafeEqual(createHmac("sha256", key.signing).update(signed).digest(), mac)) continue
    const decipher = createDecipheriv("aes-128-cbc", key.encryption, bytes.subarray(9, headerBytes))
    const payload = Buffer.concat([decipher.update(signed.subarray(headerBytes)), decipher.final()])
    return { payload, timestampSeconds: Number(bytes.readBigUInt64BE(1)) }
  }
  return null
}

/** Base64url with padding: what Python's `cryptography` insists on. */
export function paddedBase64(bytes: Buffer): string {
  const text = bytes.toString("base64url")
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=")
}
