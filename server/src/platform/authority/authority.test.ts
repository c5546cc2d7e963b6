import assert from "node:assert/strict"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { isUsable, makeAuthority, makeCertificate, makeKey, makeRequest, signRequest } from "./authority.ts"

async function withAuthority(
  run: (dir: string, ca: { certFile: string; keyFile: string }) => Promise<void>,
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-authority-"))
  try {
    const ca = { certFile: join(dir, "ca.pem"), keyFile: join(dir, "ca.key") }
    await makeAuthority(ca, "Kumoi hosts 1")
    await run(dir, ca)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

test("an authority signs the key of a request, and of its words none", async () => {
  await withAuthority(async (dir, ca) => {
    const key = join(dir, "host.key")
    await makeKey(key)
    assert.equal(statSync(key).mode & 0o777, 0o600)
    const wish = { commonName: "host-2", names: ["host-2.kumoi"], usages: ["clientAuth"], days: 30 } as const
    const cert = new X509Certificate(await signRequest(await makeRequest(key), ca, wish))
    const authority = new X509Certificate(readFileSync(ca.certFile))
    assert.equal(cert.subject, "CN=host-2")
    assert.equal(cert.issuer, "CN=Kumoi hosts 1")
    assert.ok(cert.verify(authority.publicKey) && !cert.ca && authority.ca)
    assert.ok(cert.checkPrivateKey(createPrivateKey(readFileSync(key))))
    assert.deepEqual(cert.keyUsage, ["1.3.6.1.5.5.7.3.2"])
    assert.ok(cert.checkHost("host-2.kumoi"))
    // A host whose clock is behind believes it as well.
    assert.ok(Date.parse(cert.validFrom) < Date.now() - 3_600_000)
    assert.ok(Date.parse(authority.validFrom) < Date.now() - 3_600_000)
  })
})

test("a certificate is usable for its names, until its end is near", async () => {
  await withAuthority(async (dir, ca) => {
    const files = { certFile: join(dir, "a.pem"), keyFile: join(dir, "a.key") }
    const dayMs = 86_400_000
    assert.equal(isUsable(files, [], 0), false)
    await makeCertificate(files, ca, {
      commonName: "a",
      names: ["a.example", "10.0.0.1"],
      usages: ["serverAuth"],
      days: 10,
    })
    assert.ok(isUsable(files, ["a.example", "10.0.0.1"], 9 * dayMs))
    assert.equal(isUsable(files, ["b.example"], 0), false)
    assert.equal(isUsable(files, [], 11 * dayMs), false)
  })
})

test("what is no request, and a name that says more than a name, are refused", async () => {
  await withAuthority(async (dir, ca) => {
    const wish = { commonName: "a", names: [], usages: ["clientAuth"], days: 1 } as const
    await assert.rejects(signRequest("hello", ca, wish))
    const key = join(dir, "a.key")
    await makeKey(key)
    const request = await makeRequest(key)
    await assert.rejects(signRequest(request, ca, { ...wish, commonName: "a/CN=control" }), /no name/)
    await assert.rejects(signRequest(request, ca, { ...wish, names: ["a\nCA:true"] }), /no name/)
  })
})
