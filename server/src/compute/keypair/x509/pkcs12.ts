// PKCS #12 (RFC 7292): a private key with its certificate in one file, here without a password.
import { createHash, createHmac, randomBytes } from "node:crypto"
import { context, integer, nothing, octets, oid, sequence, set } from "./der.ts"

const data = oid("1.2.840.113549.1.7.1")
const keyBag = oid("1.2.840.113549.1.12.10.1.1")
const certificateBag = oid("1.2.840.113549.1.12.10.1.3")
const x509 = oid("1.2.840.113549.1.9.22.1")
const localKeyId = oid("1.2.840.113549.1.9.21")
const sha256 = sequence(oid("2.16.840.1.101.3.4.2.1"), nothing)

const content = (bytes: Buffer) => sequence(data, context(0, octets(bytes)))

export function pkcs12(pkcs8: Buffer, certificate: Buffer): Buffer {
  // The same in both bags: says that they belong together.
  const link = set(sequence(localKeyId, set(octets(createHash("sha1").update(certificate).digest()))))
  const key = sequence(sequence(keyBag, context(0, pkcs8), link))
  const shown = sequence(x509, context(0, octets(certificate)))
  const certificates = sequence(sequence(certificateBag, context(0, shown), link))
  const safe = sequence(content(certificates), content(key))
  return sequence(integer(3), content(safe), macOf(safe))
}

const saltBytes = 8
const iterations = 2_048

function macOf(safe: Buffer): Buffer {
  const salt = randomBytes(saltBytes)
  const digest = createHmac("sha256", macKey(salt)).update(safe).digest()
  const rounds = Buffer.alloc(2)
  rounds.writeUInt16BE(iterations)
  return sequence(sequence(sha256, octets(digest)), octets(salt), integer(rounds))
}

/** Appendix B.2 for a MAC key of one hash's length and the empty password (which is its two bytes of end). */
function macKey(salt: Buffer): Buffer {
  const blockBytes = 64
  const macPurpose = 3
  const filled = (part: Buffer) => Buffer.alloc(blockBytes, part)
  let key = Buffer.concat([filled(Buffer.from([macPurpose])), filled(salt), filled(Buffer.from([0, 0]))])
  for (let i = 0; i < iterations; i++) key = createHash("sha256").update(key).digest()
  return key
}
