// Signatures that users put on images, in the properties that Glance, Nova and Cinder know. Data are checked as they
// are stored, and what the signature does not fit is not kept. A certificate is the operator's word that its key may
// sign: it lies in a directory by its uuid. Who made it, and until when it is valid, is not asked, as Glance does not.
import { X509Certificate } from "node:crypto"
import { open } from "node:fs/promises"
import { join } from "node:path"
import type { Platform } from "../../platform/context/context.ts"
import type { StreamSignature } from "../../platform/hash/stream-hash.ts"
import { signatureRefused } from "../faults.ts"
import { mainRoot } from "./stores.ts"

const names = {
  signature: "img_signature",
  hashMethod: "img_signature_hash_method",
  keyType: "img_signature_key_type",
  certificateId: "img_signature_certificate_uuid",
} as const

const propertyNames: readonly string[] = Object.values(names)

/** Whether a property says something of a signature, which is over these data and no others. */
export function isOfSignature(property: string): boolean {
  return propertyNames.includes(property)
}

const hashMethods: ReadonlyMap<string, string> = new Map([
  ["SHA-224", "sha224"],
  ["SHA-256", "sha256"],
  ["SHA-384", "sha384"],
  ["SHA-512", "sha512"],
])

const curves = ["sect571k1", "sect409k1", "sect571r1", "sect409r1", "secp521r1", "secp384r1"] as const

/** Which keys a type stands for: by the words of node:crypto, curves by name. */
const keyTypes: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ["RSA-PSS", ["rsa", "rsa-pss"]],
  ["DSA", ["dsa"]],
  ...curves.map((curve): [string, string[]] => [`ECC_${curve.toUpperCase()}`, [curve]]),
])

/** base64 of it; an RSA key of 32,768 bits makes one that long. */
const signatureCharsMost = 8192

/**
 * What the data of an image with these properties must be signed with; null when nobody asked for that. Some of the
 * properties without the others are refused: who gave them meant to have the data checked.
 */
export async function signatureOf(
  platform: Pick<Platform, "config" | "log">,
  properties: Readonly<Record<string, string>>,
): Promise<StreamSignature | null> {
  const missing = propertyNames.filter((name) => properties[name] === undefined)
  if (missing.length === propertyNames.length) return null
  if (missing.length > 0) throw signatureRefused(`the image lacks the property ${missing.join(", ")}`)
  const said = (name: string) => properties[name] ?? ""
  const algorithm = hashMethods.get(said(names.hashMethod))
  if (!algorithm) throw refuse(names.hashMethod, `be one of ${[...hashMethods.keys()].join(", ")}`)
  const keyType = said(names.keyType)
  const isOf = keyTypes.get(keyType)
  if (!isOf) throw refuse(names.keyType, `be one of ${[...keyTypes.keys()].join(", ")}`)
  const signature = decode(said(names.signature))
  const { publicKey: key } = await findCertificate(platform, said(names.certificateId))
  const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? "unknown"
  if (!isOf.includes(kind)) throw refuse(names.keyType, `be that of the certificate's key, which is ${kind}`)
  const publicKey = String(key.export({ type: "spki", format: "pem" }))
  return { algorithm, publicKey, isPss: keyType === "RSA-PSS", signature }
}

function refuse(property: string, must: string) {
  return signatureRefused(`the property ${property} must ${must}`)
}

function decode(text: string): Uint8Array {
  const plain = text.length > signatureCharsMost ? "" : text.replaceAll(/\s/g, "")
  if (plain.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(plain))
    throw refuse(names.signature, `be base64 of at most ${signatureCharsMost} characters`)
  return new Uint8Array(Buffer.from(plain, "base64"))
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const certificateBytesMost = 65_536

/** The one place that knows where certificates are; in other clouds that is Barbican. */
async function findCertificate(
  { config, log }: Pick<Platform, "config" | "log">,
  said: string,
): Promise<X509Certificate> {
  const id = said.toLowerCase()
  if (!uuid.test(id)) throw refuse(names.certificateId, "be a UUID")
  const directory = config.image.certificatesDir || join(mainRoot({ config }), "certificates")
  try {
    return new X509Certificate(await readAtMost(join(directory, `${id}.pem`), certificateBytesMost))
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT"
    if (isMissing) throw signatureRefused(`there is no certificate ${id}`)
    log.error({ certificate: id, directory, err: error }, "a certificate of image signatures cannot be read")
    throw signatureRefused(`the certificate ${id} cannot be read`)
  }
}

async function readAtMost(path: string, bytesMost: number): Promise<Buffer> {
  await using file = await open(path, "r")
  const { size } = await file.stat()
  if (size > bytesMost) throw new Error(`${path} has ${size} bytes`)
  return await file.readFile()
}
