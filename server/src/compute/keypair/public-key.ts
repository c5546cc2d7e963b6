// What an OpenSSH public key is, and its MD5 fingerprint in the colon form that Nova shows.
import { createHash, generateKeyPair, X509Certificate } from "node:crypto"
import { promisify } from "node:util"
import { keypairInvalid } from "./faults.ts"

/** `aa:bb:…` of the decoded key; throws when the text is no OpenSSH public key. */
export function sshFingerprint(publicKey: string): string {
  const [type, data] = publicKey.trim().split(/\s+/)
  if (!type || !data || !/^(ssh-|ecdsa-|sk-)/.test(type) || !/^[A-Za-z0-9+/]+=*$/.test(data)) {
    throw keypairInvalid(
      "failed to generate fingerprint: it is not an OpenSSH public key such as 'ssh-ed25519 AAAA…'.",
    )
  }
  const bytes = Buffer.from(data, "base64")
  const typeLength = bytes.length > 4 ? bytes.readUInt32BE(0) : -1
  if (typeLength !== type.length || bytes.subarray(4, 4 + typeLength).toString() !== type) {
    throw keypairInvalid("failed to generate fingerprint: the key data does not match its type.")
  }
  return colons(createHash("md5").update(bytes).digest("hex"))
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
