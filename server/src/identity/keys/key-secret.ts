// The secret that the keys in the database are sealed with: one small file, the same on every host of the cloud and
// never in the database, so that a copy of the database alone forges no token and opens no credential (ADR 11).
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto"
import { chmod, link, mkdir, open, readFile, rm } from "node:fs/promises"
import { dirname } from "node:path"
import { newHexId } from "../../platform/ids/ids.ts"

const secretBytes = 32
const ivBytes = 12
const tagBytes = 16

/** The secret in the file; null when there is no file. */
export async function readKeySecret(path: string): Promise<Buffer | null> {
  let text: string
  try {
    text = await readFile(path, "utf8")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null
    throw error
  }
  const secret = Buffer.from(text.trim(), "base64url")
  return secret.length === secretBytes ? secret : null
}

/** The secret in the file, made when there is none. Whole or not at all, and never over one that is there. */
export async function ensureKeySecret(path: string): Promise<Buffer | null> {
  const fresh = `${path}.${newHexId()}.new`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(fresh, "wx", 0o600)
  try {
    await file.writeFile(`${randomBytes(secretBytes).toString("base64url")}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await link(fresh, path)
    await chmod(path, 0o600)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
  } finally {
    await rm(fresh)
  }
  return await readKeySecret(path)
}

/** `place` says where the text belongs; sealed text that was moved elsewhere does not open. */
export function seal(secret: Buffer, place: string, text: string): string {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv("aes-256-gcm", cipherKey(secret), iv).setAAD(Buffer.from(place, "utf8"))
  const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()])
  return Buffer.concat([iv, body, cipher.getAuthTag()]).toString("base64url")
}

/** Null when it was sealed with another secret or for another place. */
export function unseal(secret: Buffer, place: string, sealed: string): string | null {
  const bytes = Buffer.from(sealed, "base64url")
  if (bytes.length < ivBytes + tagBytes) return null
  const decipher = createDecipheriv("aes-256-gcm", cipherKey(secret), bytes.subarray(0, ivBytes))
    .setAAD(Buffer.from(place, "utf8"))
    .setAuthTag(bytes.subarray(-tagBytes))
  try {
    return decipher.update(bytes.subarray(ivBytes, -tagBytes), undefined, "utf8") + decipher.final("utf8")
  } catch {
    return null
  }
}

/** The file's secret may serve other ends one day; this end has a key of its own. */
function cipherKey(secret: Buffer): Buffer {
  return createHash("sha256").update("kumoi identity key seal\0").update(secret).digest()
}
