// What an OpenSSH public key is, and its MD5 fingerprint in the colon form that Nova shows.
import { createHash, generateKeyPair, X509Certificate } from "node:crypto"
import { promisify } from "node:util"
import { keypairInvalid } from "./faults.ts"

/** `aa:bb:…` of the decoded key; throws when the text is no OpenSSH public key, or only the beginning of one. */
export function sshFingerprint(publicKey: string): string {
  const [type, data] = publicKey.trim().split(/\s+/)
  const parts = type === undefined ? undefined : keyParts[type]
  if (!type || !data || !parts || !/^[A-Za-z0-9+/]+={0,2}$/.test(data)) {
    throw keypairInvalid(
      "failed to generate fingerprint: it is not an OpenSSH public key such as 'ssh-ed25519 AAAA…' " +
        `(types: ${Object.keys(keyParts).join(", ")}).`,
    )
  }
  const bytes = Buffer.from(data, "base64")
  const { fields, isWhole } = fieldsOf(bytes)
  const [named, ...found] = fields
  if (named?.toString() !== type)
    throw keypairInvalid("failed to generate fingerprint: the key data does not match its type.")
  if (
    !isWhole ||
    found.length !== parts.length ||
    !parts.every((isPart, at) => isPart(found[at] ?? Buffer.alloc(0)))
  )
    throw keypairInvalid("failed to generate fingerprint: the key data is not whole; was it cut off?")
  return colons(createHash("md5").update(bytes).digest("hex"))
}

type IsPart = (data: Buffer) => boolean
const number: IsPart = (data) => data.length > 0
const ed25519: IsPart = (data) => data.length === 32
const application: IsPart = (data) => data.length > 0
const curve = (name: string, bytes: number): IsPart[] => [
  (data) => data.toString() === name,
  // Uncompressed: both coordinates behind a 4.
  (data) => data.length === 2 * bytes + 1 && data[0] === 4,
]

/** What follows the type in the data of a key: RFC 4253 §6.6, RFC 5656, RFC 8709, OpenSSH's PROTOCOL.u2f. */
const keyParts: Readonly<Record<string, readonly IsPart[]>> = {
  "ssh-rsa": [number, number],
  "ssh-dss": [number, number, number, number],
  "ssh-ed25519": [ed25519],
  "ecdsa-sha2-nistp256": curve("nistp256", 32),
  "ecdsa-sha2-nistp384": curve("nistp384", 48),
  "ecdsa-sha2-nistp521": curve("nistp521", 66),
  "sk-ssh-ed25519@openssh.com": [ed25519, application],
  "sk-ecdsa-sha2-nistp256@openssh.com": [...curve("nistp256", 32), application],
}

/** The `string` fields (RFC 4251 §5) that the data is made of, and whether it ends with the last of them. */
function fieldsOf(data: Buffer): { fields: Buffer[]; isWhole: boolean } {
  const fields: Buffer[] = []
  for (let at = 0; at < data.length; ) {
    if (at + 4 > data.length) return { fields, isWhole: false }
    const end = at + 4 + data.readUInt32BE(at)
    if (end > data.length) return { fields, isWhole: false }
    fields.push(data.subarray(at + 4, end))
    at = end
  }
  return { fields, isWhole: true }
}

/** SHA-1 fingerprint of an X.509 certificate in PEM form. */
export function x509Fingerprint(certificate: string): string {
  try {
    return new X509Certificate(certificate).fingerprint.toLowerCase()
  } catch {
    throw keypairInvalid("failed to generate X509 fingerprint: it is not a certificate in PEM form.")
  }
}

function colons(hex: string): string {
  return hex.replaceAll(/(..)(?!$)/g, "$1:")
}

/** A fresh RSA pair, as Nova makes them: OpenSSH public text and a PEM private key that ssh reads. */
export async function generateSshKeypair(
  comment: string,
): Promise<{ publicKey: string; privateKey: string }> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2_048 })
  const jwk = publicKey.export({ format: "jwk" })
  const body = Buffer.concat([
    field(Buffer.from("ssh-rsa")),
    field(integer(Buffer.from(jwk.e ?? "", "base64url"))),
    field(integer(Buffer.from(jwk.n ?? "", "base64url"))),
  ])
  return {
    publicKey: `ssh-rsa ${body.toString("base64")} ${comment}`,
    privateKey: privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
  }
}

/** RFC 4251 `string`. */
function field(data: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  return Buffer.concat([length, data])
}

/** RFC 4251 `mpint`: a leading zero keeps a positive number positive. */
function integer(data: Buffer): Buffer {
  return data[0] !== undefined && data[0] >= 0x80 ? Buffer.concat([Buffer.from([0]), data]) : data
}
