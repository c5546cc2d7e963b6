import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { after, before, test } from "node:test"
import { type ServiceCloud, startServices } from "../../../test/service-cloud.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { internalCtx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { recoverTransfers } from "../data/recover.ts"
import {
  createImageRecord,
  dataDeactivated,
  dataIncomplete,
  discardImage,
  findBootableImage,
  imageNotActive,
  imageNotFound,
  openImageData,
  rangeNotSatisfiable,
  readImageData,
  registerLocalImage,
  storeImageFile,
  storeImageStream,
} from "../index.ts"
import { imageService } from "../service.ts"

let cloud: ServiceCloud
let dir: string
before(async () => {
  cloud = await startServices({ services: [imageService] })
  dir = await mkdtemp(join(tmpdir(), "kumoi-image-local-"))
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

const stored = async (kind: string) => await readdir(join(cloud.platform.config.dataDir, "image", kind))

async function pathOf(imageId: string): Promise<string> {
  const data = await openImageData(cloud.platform, imageId)
  assert.ok("path" in data)
  return data.path
}

async function readData(imageId: string): Promise<string> {
  return await readFile(await pathOf(imageId), "utf8")
}

test("the image that comes with the cloud is registered once, and follows its file", async () => {
  const path = join(dir, "guest.img")
  await writeFile(path, "version 1")
  const local = {
    name: "guest",
    path,
    diskFormat: "raw",
    containerFormat: "bare",
    visibility: "public" as const,
    minDiskGib: 1,
    minRamMib: 64,
    properties: { os_distro: "kumoi" },
  }
  const first = await registerLocalImage(cloud.platform, local)
  const again = await Promise.all([1, 2].map(() => registerLocalImage(cloud.platform, local)))
  assert.deepEqual(
    again.map((i) => i.id),
    [first.id, first.id],
  )
  assert.equal((await stat(await pathOf(first.id))).ino, (await stat(path)).ino, "linked and not copied")
  const copy = join(dir, "copy.img")
  await writeFile(copy, "version 1")
  assert.equal((await registerLocalImage(cloud.platform, { ...local, path: copy })).id, first.id)
  await rm(path)
  await writeFile(path, "version 2")
  const second = await registerLocalImage(cloud.platform, local)
  assert.notEqual(second.id, first.id)
  const list = await cloud.request("GET", "/image/v2/images?name=guest", { as: "p1" })
  assert.deepEqual(
    list.body.images.map((i: { id: string }) => i.id),
    [second.id],
  )
  assert.equal(await readData(second.id), "version 2")
  assert.equal(await readData(first.id), "version 1", "machines may still hold the old one")
})

test("two processes that start together register one image", async () => {
  const path = join(dir, "race.img")
  await writeFile(path, "race")
  const local = {
    name: "race",
    path,
    diskFormat: "raw",
    containerFormat: "bare",
    visibility: "public" as const,
    minDiskGib: 0,
    minRamMib: 0,
    properties: {},
  }
  const before = (await stored("store")).length
  const images = await Promise.all([1, 2, 3].map(() => registerLocalImage(cloud.platform, local)))
  assert.equal(new Set(images.map((i) => i.id)).size, 1)
  assert.equal((await stored("store")).length, before + 1)
})

test("what the cloud makes itself is kept when it is not what its record says, and no machine boots it", async () => {
  const ctx = internalCtx(cloud.platform)
  const id = newUuid()
  await createImageRecord(ctx, { id, projectId: "p1", name: "odd", diskFormat: "qcow2" })
  const path = join(dir, "odd.qcow2")
  await writeFile(path, "plain")
  assert.equal((await storeImageFile(ctx, id, path)).status, "active")
  const { problem } = await findBootableImage(cloud.ctx("p1"), id)
  assert.match(problem ?? "", /declared as qcow2 and is plain data/)
})

test("a snapshot: a record in a transaction, then its file; each step can be repeated", async () => {
  const ctx = internalCtx(cloud.platform)
  const id = newUuid()
  // The signature is that of the base image, and over its data.
  const properties = { base: "x", img_signature: "bm9uZQ==", img_signature_hash_method: "SHA-256" }
  const record = { id, projectId: "p1", name: "snap", diskFormat: "raw", properties }
  for (let i = 0; i < 2; i++) assert.equal((await createImageRecord(ctx, record)).id, id)
  await assert.rejects(findBootableImage(cloud.ctx("p1"), id), (e) => imageNotActive.is(e))
  const path = join(dir, "snap.raw")
  await writeFile(path, "frozen")
  for (let i = 0; i < 2; i++) assert.equal((await storeImageFile(ctx, id, path)).status, "active")
  await rm(path)
  assert.equal(await readData(id), "frozen")
  const bootable = await findBootableImage(cloud.ctx("p1"), id)
  assert.equal(bootable.sizeBytes, 6)
  assert.equal(bootable.ownerId, "p1")
  assert.equal(bootable.visibility, "private")
  assert.deepEqual(bootable.properties, { base: "x" })
  await assert.rejects(findBootableImage(cloud.ctx("p2"), id), (e) => imageNotFound.is(e))
  await cloud.request("POST", `/image/v2/images/${id}/actions/deactivate`, { as: "p1" })
  await assert.rejects(findBootableImage(cloud.ctx("p1"), id), (e) => dataDeactivated.is(e))
  for (let i = 0; i < 2; i++) await transact(ctx.db, (tx) => discardImage(ctx, tx, id))
  await assert.rejects(findBootableImage(cloud.ctx("p1"), id), (e) => imageNotFound.is(e))
  // Its file goes after the commit.
  await eventually("no file", async () => !(await stored("store")).some((name) => name.startsWith(id)))
})

test("a snapshot from another host: a stream that broke is begun again, and read from where a reader stopped", async () => {
  const ctx = internalCtx(cloud.platform)
  const id = newUuid()
  await createImageRecord(ctx, { id, projectId: "p1", name: "far", diskFormat: "raw" })
  const data = Buffer.from("frozen far away")
  const broken = Readable.from(
    (async function* () {
      yield data.subarray(0, 4)
      await Promise.reject(new Error("the line is down"))
    })(),
  )
  const sizeBytes = data.length
  await assert.rejects(storeImageStream(ctx, id, { stream: broken, sizeBytes }))
  const short = { stream: Readable.from([data.subarray(0, 4)]), sizeBytes }
  await assert.rejects(storeImageStream(ctx, id, short), dataIncomplete.is)
  assert.deepEqual(
    (await stored("tmp")).filter((name) => name.startsWith(id)),
    [],
  )
  for (const size of [sizeBytes, null]) {
    const stored = await storeImageStream(ctx, id, { stream: Readable.from([data]), sizeBytes: size })
    assert.deepEqual([stored.status, stored.sizeBytes], ["active", sizeBytes])
  }
  for (const offset of [0, 7, sizeBytes]) {
    const read = await readImageData(cloud.platform, id, offset)
    assert.equal(read.sizeBytes, sizeBytes)
    assert.deepEqual(Buffer.concat(await read.stream.toArray()), data.subarray(offset))
  }
  await assert.rejects(readImageData(cloud.platform, id, sizeBytes + 1), rangeNotSatisfiable.is)
})

test("an upload whose process is killed leaves a queued image and, after the start, no file", async () => {
  const made = await cloud.request("POST", "/image/v2/images", {
    as: "p1",
    body: { name: "torn", disk_format: "raw", container_format: "bare" },
  })
  const { id } = made.body
  // Another process with the same database and directory, in the middle of an upload.
  const from = (path: string) => JSON.stringify(join(import.meta.dirname, path))
  const { connectionString } = cloud.database
  const beside = JSON.stringify({ connectionString, dataDir: cloud.platform.config.dataDir })
  const code = `
    const { startServices } = await import(${from("../../../test/service-cloud.ts")})
    const { imageService } = await import(${from("../service.ts")})
    const services = { services: [imageService], beside: ${beside} }
    const cloud = await startServices(services)
    process.stdout.write(cloud.baseUrl + "\\n")`
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const [chunk] = (await once(child.stdout, "data")) as [Buffer]
  const upload = request(`${chunk.toString().trim()}/image/v2/images/${id}/file`, {
    method: "PUT",
    headers: { "x-auth-token": "p1", "content-type": "application/octet-stream" },
  })
  upload.on("error", () => {})
  upload.write("half of it")
  const isOf = (name: string) => name.startsWith(id)
  await eventually("the transfer", async () => (await stored("tmp")).some(isOf))
  await recoverTransfers(cloud.platform)
  assert.ok((await stored("tmp")).some(isOf), "a living transfer is left alone")
  child.kill("SIGKILL")
  await once(child, "exit")
  upload.destroy()
  const show = async () => (await cloud.request("GET", `/image/v2/images/${id}`, { as: "p1" })).body
  assert.equal((await show()).status, "saving")
  await recoverTransfers(cloud.platform)
  assert.equal((await show()).status, "queued")
  assert.ok(!(await stored("tmp")).some(isOf))
})
