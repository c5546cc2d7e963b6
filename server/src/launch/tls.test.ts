import assert from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { request } from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { connect } from "node:tls"
import { fastify } from "fastify"
import { eventually } from "../platform/clock/clock.ts"
import { listen } from "../platform/http/listen.ts"
import { readOptions } from "./options.ts"
import { prepareTls, type Tls } from "./tls.ts"
import { readUpOptions, upOptionSpecs } from "./up-options.ts"

async function withDirectory(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-tls-"))
  try {
    await run(dir)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

const say = () => {}

async function makeOwn(dir: string, host = "127.0.0.1"): Promise<Tls & { caFile: string }> {
  const made = await prepareTls({ tls: "own", listen: "127.0.0.1" }, dir, { host, say })
  assert.ok(made?.caFile)
  return { ...made, caFile: made.caFile }
}

const read = (path: string) => readFileSync(path, "utf8")

test("an authority and a certificate are made once, and what does not fit is made anew", async () => {
  await withDirectory(async (dir) => {
    const first = await makeOwn(dir)
    const { certFile, keyFile } = first.files
    const ca = new X509Certificate(read(first.caFile))
    const cert = new X509Certificate(read(certFile))
    assert.ok(ca.ca)
    assert.ok(!cert.ca)
    assert.ok(cert.verify(ca.publicKey))
    assert.ok(cert.checkIP("127.0.0.1") && cert.checkHost("localhost"))
    for (const key of [keyFile, join(dir, "tls/ca.key")]) assert.equal(statSync(key).mode & 0o777, 0o600)
    const before = [read(first.caFile), read(certFile)]
    await makeOwn(dir)
    assert.deepEqual([read(first.caFile), read(certFile)], before)
    await makeOwn(dir, "cloud.example")
    assert.equal(read(first.caFile), before[0])
    assert.ok(new X509Certificate(read(certFile)).checkHost("cloud.example"))
    // As after a crash between the two.
    writeFileSync(keyFile, read(join(dir, "tls/ca.key")))
    const mended = await makeOwn(dir, "cloud.example")
    assert.ok(new X509Certificate(read(mended.files.certFile)).verify(ca.publicKey))
  })
})

test("files that are no certificate and its key are refused", async () => {
  await withDirectory(async (dir) => {
    const { files } = await makeOwn(dir)
    const other = join(dir, "tls/ca.key")
    const at = (certFile: string, keyFile: string) =>
      prepareTls({ tls: { certFile, keyFile }, listen: "127.0.0.1" }, dir, { host: "127.0.0.1", say })
    await assert.rejects(
      at(files.certFile, other),
      /server\.pem and the key .*ca\.key do not belong together/,
    )
    await assert.rejects(at(files.keyFile, files.keyFile), /no certificate and its key/)
    await assert.rejects(at(join(dir, "none"), files.keyFile), /none cannot be read/)
    const said: string[] = []
    const how = { host: "other.example", say: (line: string) => void said.push(line) }
    assert.equal((await prepareTls({ tls: files, listen: "127.0.0.1" }, dir, how))?.caFile, null)
    assert.match(said.join(), /is not for other\.example/)
  })
})

test("the options name both files or none", () => {
  const tlsOf = (...args: string[]) => readUpOptions(readOptions(args, upOptionSpecs)).tls
  assert.equal(tlsOf(), null)
  assert.equal(tlsOf("--tls"), "own")
  assert.deepEqual(tlsOf("--tls-cert", "/c", "--tls-key", "/k"), { certFile: "/c", keyFile: "/k" })
  assert.throws(() => tlsOf("--tls-cert", "/c"), /go together/)
  assert.throws(() => tlsOf("--tls", "--tls-cert", "/c", "--tls-key", "/k"), /without --tls/)
})

function shown(port: number, ca: string, options: { maxVersion?: "TLSv1.1" } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca, ...options }, () => {
      resolve(socket.getPeerCertificate().fingerprint256)
      socket.destroy()
    })
    socket.once("error", reject)
  })
}

test("every port speaks TLS from 1.2 on, and a changed certificate is taken over", async () => {
  await withDirectory(async (dir) => {
    const { files, caFile } = await makeOwn(dir)
    const server = fastify()
    server.get("/compute/v2.1", () => "here")
    await using listening = await listen(server, { host: "127.0.0.1", port: 0, tls: files })
    assert.match(listening.url, /^https:/)
    const port = Number(new URL(listening.url).port)
    const ca = read(caFile)
    const status = await new Promise((resolve, reject) => {
      request(`${listening.url}/compute/v2.1`, { ca }, (answer) => resolve(answer.resume().statusCode))
        .on("error", reject)
        .end()
    })
    assert.equal(status, 200)
    assert.match(await (await fetch(listening.url.replace("https", "http"))).text(), /speaks TLS/)
    await assert.rejects(shown(port, ca, { maxVersion: "TLSv1.1" }))
    const first = await shown(port, ca)
    await makeOwn(dir, "cloud.example")
    await eventually("the new certificate", async () => (await shown(port, ca)) !== first)
    writeFileSync(files.keyFile, "no key")
    assert.ok(await shown(port, ca))
  })
})
