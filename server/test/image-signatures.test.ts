// Images whose properties say by which key their data were signed.
import assert from "node:assert/strict"
import { constants, createSign } from "node:crypto"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { gzipSync } from "node:zlib"
import { imageService } from "../src/image/service.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { exec } from "../src/platform/exec/exec.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
let dir: string
let rsa: Signer
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "kumoi-signatures-"))
  cloud = await startServices({
    services: [imageService],
    overrides: {
      "image.stores": [{ id: "second", type: "file", directory: join(dir, "second") }],
      "image.importPlugins": ["image_decompression"],
    },
  })
  await mkdir(join(root(), "certificates"), { recursive: true })
  rsa = await makeSigner("RSA-PSS", ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

const root = () => join(cloud.platform.config.dataDir, "image")
const images = "/image/v2/images"
const request = (method: string, path: string, body?: unknown, as = "p1") =>
  cloud.request(method, path, { as, body })

interface Signer {
  keyType: string
  certificateId: string
  key: string
}

async function makeSigner(keyType: string, make: readonly string[]): Promise<Signer> {
  const certificateId = newUuid()
  const key = join(dir, `${certificateId}.key`)
  await exec("openssl", [...make, "-out", key])
  const pem = join(root(), "certificates", `${certificateId}.pem`)
  await exec("openssl", ["req", "-x509", "-new", "-key", key, "-subj", "/CN=signer", "-out", pem])
  return { keyType, certificateId, key: await readFile(key, "utf8") }
}

function signed(signer: Signer, data: Buffer, hash = "SHA-256", saltLength?: number) {
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_MAX_SIGN: longest } = constants
  const options = signer.keyType === "RSA-PSS" ? { padding, saltLength: saltLength ?? longest } : {}
  const sign = createSign(hash.replace("-", "").toLowerCase()).update(data)
  return {
    img_signature: sign.sign({ key: signer.key, ...options }, "base64"),
    img_signature_hash_method: hash,
    img_signature_key_type: signer.keyType,
    img_signature_certificate_uuid: signer.certificateId,
  }
}

async function made(properties: object, formats: object = {}): Promise<string> {
  const body = { name: "i", disk_format: "raw", container_format: "bare", ...formats, ...properties }
  const reply = await request("POST", images, body)
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return reply.body.id
}

async function uploaded(properties: object, data: Buffer) {
  const id = await made(properties)
  const put = await request("PUT", `${images}/${id}/file`, data)
  const image = (await request("GET", `${images}/${id}`)).body
  return { id, status: put.status, message: JSON.stringify(put.body), state: image.status }
}

async function imported(id: string, method: object, more: object = {}) {
  const asked = await request("POST", `${images}/${id}/import`, { method, ...more })
  assert.equal(asked.status, 202, JSON.stringify(asked.body))
  const task = await eventually("the end of the task", async () => {
    const [found] = (await request("GET", `${images}/${id}/tasks`)).body.tasks
    return (found.status === "success" || found.status === "failure") && found
  })
  return { task, image: (await request("GET", `${images}/${id}`)).body }
}

async function staged(properties: object, data: Buffer, formats: object = {}): Promise<string> {
  const id = await made(properties, formats)
  assert.equal((await request("PUT", `${images}/${id}/stage`, data)).status, 204)
  return id
}

async function nothingIsKept(id: string): Promise<void> {
  await eventually("nothing to be kept", async () => {
    const directories = [root(), join(dir, "second")].flatMap((each) =>
      ["store", "tmp", "staging"].map((part) => join(each, part)),
    )
    const names = await Promise.all(directories.map((each) => readdir(each).catch(() => [])))
    return !names.flat().some((name) => name.startsWith(id))
  })
}

const data = Buffer.alloc(700_000, "signed ")

test("data that were signed are taken, by every kind of key and sum", async () => {
  for (const hash of ["SHA-224", "SHA-256", "SHA-384", "SHA-512"])
    assert.equal((await uploaded(signed(rsa, data, hash), data)).state, "active", hash)
  const short = signed(rsa, data, "SHA-256", constants.RSA_PSS_SALTLEN_DIGEST)
  assert.equal((await uploaded(short, data)).state, "active")
  const parameters = join(dir, "dsa.parameters")
  await exec("openssl", ["dsaparam", "-out", parameters, "1024"], { timeoutMs: 120_000 })
  const dsa = await makeSigner("DSA", ["genpkey", "-paramfile", parameters])
  assert.equal((await uploaded(signed(dsa, data), data)).state, "active", "DSA")
  for (const curve of ["sect571k1", "sect409k1", "sect571r1", "sect409r1", "secp521r1", "secp384r1"]) {
    const type = `ECC_${curve.toUpperCase()}`
    const signer = await makeSigner(type, ["ecparam", "-genkey", "-noout", "-name", curve])
    assert.equal((await uploaded(signed(signer, data, "SHA-384"), data)).state, "active", type)
    const other = await uploaded(signed(signer, Buffer.from("other"), "SHA-384"), data)
    assert.equal(other.status, 400, type)
  }
})

test("data that the signature does not fit are refused, and nothing of them is kept", async () => {
  const good = signed(rsa, data)
  const changed = Buffer.from(data)
  changed[changed.length - 1] = 0
  for (const [properties, body] of [
    [good, changed],
    [good, data.subarray(1)],
    [good, Buffer.alloc(0)],
    [{ ...good, img_signature_hash_method: "SHA-512" }, data],
    [{ ...good, img_signature: Buffer.from("nothing like it").toString("base64") }, data],
  ] as const) {
    const { id, status, message, state } = await uploaded(properties, body)
    assert.deepEqual([status, state], [400, "queued"], message)
    assert.match(message, /Signature verification failed/)
    await nothingIsKept(id)
  }
})

test("what is said of a signature must be whole and make sense, and the refusal names it", async () => {
  const good = signed(rsa, data)
  for (const name of Object.keys(good)) {
    const { [name as keyof typeof good]: _, ...others } = good
    const { status, message } = await uploaded(others, data)
    assert.equal(status, 400, name)
    assert.match(message, new RegExp(`lacks the property ${name}\\b`))
  }
  for (const [name, value, why] of [
    ["img_signature_hash_method", "MD5", /SHA-224, SHA-256/],
    ["img_signature_hash_method", "__proto__", /SHA-224, SHA-256/],
    ["img_signature_key_type", "ECC_SECP256R1", /RSA-PSS, DSA/],
    ["img_signature_key_type", "DSA", /which is rsa/],
    ["img_signature_key_type", "ECC_SECP384R1", /which is rsa/],
    ["img_signature_certificate_uuid", newUuid(), /no certificate/],
    ["img_signature_certificate_uuid", "../certificates/x", /UUID/],
    ["img_signature", "not base64!", /base64/],
    ["img_signature", "A".repeat(10_000), /base64/],
    ["img_signature", "", /base64/],
  ] as const) {
    const { id, status, message, state } = await uploaded({ ...good, [name]: value }, data)
    assert.deepEqual([status, state], [400, "queued"], `${name} ${value}: ${message}`)
    assert.match(message, why)
    await nothingIsKept(id)
  }
})

test("a certificate that is none is refused and not read whole", async () => {
  for (const text of ["no certificate", "x".repeat(100_000)]) {
    const certificateId = newUuid()
    await writeFile(join(root(), "certificates", `${certificateId}.pem`), text)
    const { status, message } = await uploaded(signed({ ...rsa, certificateId }, data), data)
    assert.equal(status, 400)
    assert.match(message, /cannot be read/)
  }
})

test("an upload that was refused can be tried again with the right data", async () => {
  const { id } = await uploaded(signed(rsa, data), Buffer.from("wrong"))
  assert.equal((await request("PUT", `${images}/${id}/file`, data)).status, 204)
  assert.equal((await request("GET", `${images}/${id}`)).body.status, "active")
})

test("imports are checked as uploads are, in whichever stores", async () => {
  const direct = { name: "glance-direct" }
  const right = await imported(await staged(signed(rsa, data), data), direct, { stores: ["file", "second"] })
  assert.deepEqual([right.task.status, right.image.status], ["success", "active"])
  for (const more of [{}, { stores: ["file", "second"], all_stores_must_succeed: false }]) {
    const id = await staged(signed(rsa, Buffer.from("other")), data)
    const wrong = await imported(id, direct, more)
    assert.deepEqual([wrong.task.status, wrong.image.status], ["failure", "queued"])
    assert.match(wrong.task.message, /Signature verification failed/)
    await nothingIsKept(id)
  }
})

test("the signature is over the data as they are stored", async () => {
  const [packed, compressed] = [gzipSync(data), { container_format: "compressed" }]
  const plain = await imported(await staged(signed(rsa, data), packed, compressed), { name: "glance-direct" })
  assert.equal(plain.task.status, "success", plain.task.message)
  const over = await imported(await staged(signed(rsa, packed), packed, compressed), {
    name: "glance-direct",
  })
  assert.match(over.task.message, /Signature verification failed/)
})

test("data of another image are checked against the signature of the one that gets them", async () => {
  const { id: source } = await uploaded({}, data)
  const from = { name: "glance-download", glance_region: "RegionOne", glance_image_id: source }
  assert.equal((await imported(await made(signed(rsa, data)), from)).task.status, "success")
  const id = await made(signed(rsa, Buffer.from("other")))
  assert.match((await imported(id, from)).task.message, /Signature verification failed/)
  await nothingIsKept(id)
})
