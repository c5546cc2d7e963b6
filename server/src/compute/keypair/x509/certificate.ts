// A certificate that a user logs in to Windows guests with (WinRM): self-signed, for client authentication, the user
// in an `otherName` (user principal name). What Nova makes when a key pair of type x509 is asked for.
import { generateKeyPair, randomBytes, sign } from "node:crypto"
import { promisify } from "node:util"
import { bits, context, integer, nothing, octets, oid, sequence, set, time, utf8 } from "./der.ts"
import { pkcs12 } from "./pkcs12.ts"

const validForYears = 10
const serialBytes = 16

export interface CertificatePair {
  /** PEM. */
  certificate: string
  /** Base64 of a PKCS #12 file without password: key and certificate. */
  privateKey: string
}

export async function generateCertificate(userId: string, now: Date): Promise<CertificatePair> {
  const pair = await promisify(generateKeyPair)("rsa", { modulusLength: 2_048 })
  const body = certificateBody(userId, now, pair.publicKey.export({ type: "spki", format: "der" }))
  const certificate = sequence(body, sha256WithRsa, bits(sign("sha256", body, pair.privateKey)))
  const key = pair.privateKey.export({ type: "pkcs8", format: "der" })
  return { certificate: pem(certificate), privateKey: pkcs12(key, certificate).toString("base64") }
}

const sha256WithRsa = sequence(oid("1.2.840.113549.1.1.11"), nothing)
const version3 = context(0, integer(2))

function certificateBody(userId: string, now: Date, publicKey: Buffer): Buffer {
  const name = sequence(set(sequence(oid("2.5.4.3"), utf8(userId.slice(0, 64)))))
  const end = new Date(now)
  end.setUTCFullYear(end.getUTCFullYear() + validForYears)
  const serial = randomBytes(serialBytes)
  // Neither negative nor with a zero in front.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const validity = sequence(time(now), time(end))
  const extensions = sequence(clientAuthentication, principalName(`${userId}@localhost`))
  return sequence(
    version3,
    integer(serial),
    sha256WithRsa,
    name,
    validity,
    name,
    publicKey,
    context(3, extensions),
  )
}

const clientAuthentication = sequence(oid("2.5.29.37"), octets(sequence(oid("1.3.6.1.5.5.7.3.2"))))

function principalName(name: string): Buffer {
  const otherName = context(0, oid("1.3.6.1.4.1.311.20.2.3"), context(0, utf8(name)))
  return sequence(oid("2.5.29.17"), octets(sequence(otherName)))
}

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`
}
