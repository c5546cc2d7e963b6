import assert from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { test } from "node:test"
import { createSecureContext } from "node:tls"
import { generateCertificate } from "./certificate.ts"
import { integer, oid, time } from "./der.ts"

test("the certificate signs itself, for ten years, for its user to log in with", async () => {
  const now = new Date("2026-02-03T04:05:06Z")
  const { certificate } = await generateCertificate("4a5b", now)
  const read = new X509Certificate(certificate)
  assert.equal(read.subject, "CN=4a5b")
  assert.ok(read.verify(read.publicKey))
  assert.equal(read.validFromDate.toISOString(), "2026-02-03T04:05:06.000Z")
  assert.equal(read.validToDate.toISOString(), "2036-02-03T04:05:06.000Z")
  assert.deepEqual(read.keyUsage, ["1.3.6.1.5.5.7.3.2"])
  assert.match(read.subjectAltName ?? "", /4a5b@localhost/)
})

test("OpenSSL reads the PKCS #12 file and finds a key that fits the certificate", async () => {
  const { privateKey } = await generateCertificate("4a5b", new Date())
  const pfx = Buffer.from(privateKey, "base64")
  createSecureContext({ pfx, passphrase: "" })
  // One bit in the key: the check value says so.
  const broken = Buffer.from(pfx)
  broken[broken.length >> 1] = (broken[broken.length >> 1] ?? 0) ^ 1
  assert.throws(() => createSecureContext({ pfx: broken, passphrase: "" }))
})

test("numbers and times in DER", () => {
  assert.equal(oid("1.2.840.113549").toString("hex"), "06062a864886f70d")
  assert.equal(integer(128).toString("hex"), "02020080")
  assert.equal(time(new Date("2049-12-31T23:59:59Z")).subarray(2).toString(), "491231235959Z")
  assert.equal(time(new Date("2050-01-01T00:00:00Z")).subarray(2).toString(), "20500101000000Z")
})
