// What imports do to data before they are stored, with real disks made by qemu-img.
import assert from "node:assert/strict"
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { gzipSync } from "node:zlib"
import { imageService } from "../src/image/service.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { exec } from "../src/platform/exec/exec.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "kumoi-plugins-"))
  cloud = await startServices({
    services: [imageService],
    overrides: {
      "image.importPlugins": ["image_decompression", "image_conversion", "inject_image_metadata"],
      "image.conversionFormat": "qcow2",
      "image.injectProperties": { hw_watchdog_action: "reset" },
      "image.sizeMaxBytes": 32 * 1024 ** 2,
    },
  })
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

const images = "/image/v2/images"
const request = (method: string, path: string, body?: unknown, as = "p1") =>
  cloud.request(method, path, { as, body })

let count = 0
async function disk(format: string, options: readonly string[] = [], size = "4M"): Promise<Buffer> {
  const path = join(dir, `disk${++count}`)
  await exec("qemu-img", ["create", "-q", "-f", format, ...options, path, size])
  return await readFile(path)
}

async function imported(data: Buffer, formats: object, as = "p1") {
  const { id } = (await request("POST", images, { name: "i", ...formats }, as)).body
  const staged = await request("PUT", `${images}/${id}/stage`, data, as)
  assert.equal(staged.status, 204, JSON.stringify(staged.body))
  const method = { name: "glance-direct" }
  assert.equal((await request("POST", `${images}/${id}/import`, { method }, as)).status, 202)
  const task = await eventually("the end of the task", async () => {
    const [found] = (await request("GET", `${images}/${id}/tasks`, undefined, as)).body.tasks
    return (found.status === "success" || found.status === "failure") && found
  })
  const image = (await request("GET", `${images}/${id}`, undefined, as)).body
  return { id, task, image }
}

async function nothingIsLeft(id: string): Promise<void> {
  await eventually("nothing to be left on the way", async () => {
    const root = join(cloud.platform.config.dataDir, "image")
    const names = await Promise.all(["tmp", "staging"].map((each) => readdir(join(root, each))))
    return !names.flat().some((name) => name.startsWith(id))
  })
}

const bare = { container_format: "bare" }

test("disks of other formats become the one that is wanted, and say so", async () => {
  for (const [format, disk_format, options] of [
    ["raw", "raw", []],
    ["vmdk", "vmdk", ["-o", "subformat=monolithicSparse"]],
    ["vdi", "vdi", []],
    ["vpc", "vhd", []],
    ["vhdx", "vhdx", []],
    ["qcow2", "qcow2", []],
  ] as const) {
    const { id, task, image } = await imported(await disk(format, options), { ...bare, disk_format })
    assert.equal(task.status, "success", `${format}: ${task.message}`)
    assert.deepEqual([image.status, image.disk_format], ["active", "qcow2"])
    assert.ok(image.virtual_size >= 4 * 1024 ** 2)
    const { bytes } = await request("GET", `${images}/${id}/file`)
    assert.equal(bytes.subarray(0, 4).toString("latin1"), "QFI\xfb")
    assert.equal(bytes.length, image.size)
    await nothingIsLeft(id)
  }
})

test("what lies, or leads to other files, is refused with the reason", async () => {
  const backing = await disk("qcow2", ["-b", "/etc/passwd", "-F", "raw", "-u"])
  const flat = Buffer.from(
    '# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 1 FLAT "/etc/passwd" 0\n',
  )
  for (const [data, disk_format, why] of [
    [backing, "qcow2", /backing file/],
    [backing, "raw", /backing file/],
    [await disk("qcow2"), "raw", /declared as raw and is qcow2/],
    [Buffer.from("plain data"), "qcow2", /declared as qcow2 and is plain data/],
    [flat, "vmdk", /other files/],
    [(await disk("vhdx")).subarray(0, 600), "vhdx", /cannot be read as vhdx/],
  ] as const) {
    const { id, task, image } = await imported(data, { ...bare, disk_format })
    assert.equal(task.status, "failure", disk_format)
    assert.match(task.message, why)
    assert.deepEqual(
      [image.status, image.os_glance_failed_import, image.disk_format],
      ["queued", "file", disk_format],
    )
    await nothingIsLeft(id)
  }
})

test("compressed data are unpacked, however small they are packed no more than may be", async () => {
  const compressed = { container_format: "compressed", disk_format: "raw" }
  const { task, image } = await imported(gzipSync(Buffer.alloc(1024 ** 2, "k")), compressed)
  assert.equal(task.status, "success", task.message)
  assert.deepEqual([image.container_format, image.disk_format], ["bare", "qcow2"])
  const bomb = await imported(gzipSync(Buffer.alloc(64 * 1024 ** 2)), compressed)
  assert.match(bomb.task.message, /too large/)
  const half = gzipSync(Buffer.alloc(1024 ** 2, "k"))
  for (const data of [Buffer.from("no gzip"), half.subarray(0, half.length - 10)]) {
    const { id, task: failed } = await imported(data, compressed)
    assert.match(failed.message, /declared as compressed/)
    await nothingIsLeft(id)
  }
})

test("a CD stays a CD, and what is in another container stays as it is", async () => {
  const cd = Buffer.alloc(64 * 1024)
  cd.write("CD001", 0x8001)
  assert.equal((await imported(cd, { ...bare, disk_format: "iso" })).image.disk_format, "iso")
  const ova = await imported(Buffer.from("an archive"), { container_format: "ova", disk_format: "vmdk" })
  assert.deepEqual([ova.image.status, ova.image.disk_format], ["active", "vmdk"])
})

test("images get the operator's properties, unless a user's role spares them", async () => {
  const data = Buffer.from("data")
  const raw = { ...bare, disk_format: "raw" }
  assert.equal((await imported(data, raw)).image.hw_watchdog_action, "reset")
  assert.equal((await imported(data, raw, "admin:admin")).image.hw_watchdog_action, undefined)
})

test("a disk that would be larger than images may be is refused before it is made", async () => {
  await using raw = await startServices({
    services: [imageService],
    overrides: {
      "image.importPlugins": ["image_conversion"],
      "image.conversionFormat": "raw",
      "image.sizeMaxBytes": 32 * 1024 ** 2,
    },
  })
  const ask = (method: string, path: string, body?: unknown) => raw.request(method, path, { as: "p1", body })
  const importDisk = async (size: string) => {
    const { id } = (await ask("POST", images, { ...bare, disk_format: "qcow2" })).body
    await ask("PUT", `${images}/${id}/stage`, await disk("qcow2", [], size))
    await ask("POST", `${images}/${id}/import`, { method: { name: "glance-direct" } })
    await eventually(
      "the end",
      async () =>
        !/pending|processing/.test((await ask("GET", `${images}/${id}/tasks`)).body.tasks[0].status),
    )
    return (await ask("GET", `${images}/${id}`)).body
  }
  const small = await importDisk("4M")
  assert.deepEqual([small.disk_format, small.size], ["raw", 4 * 1024 ** 2])
  assert.equal((await importDisk("1T")).status, "queued")
})
