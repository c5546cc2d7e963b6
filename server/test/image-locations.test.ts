// Images whose data stay at an address: by PATCH of their locations, and by the API for that.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { readdir } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { findBootableImage, imageDataUnread, readImageData } from "../src/image/index.ts"
import { imageService } from "../src/image/service.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

const data = "data that stay on the web"
const sum = (algorithm: string) => createHash(algorithm).update(data).digest("hex")

const claimed = { os_hash_algo: "sha512", os_hash_value: sum("sha512"), checksum: sum("md5") }

let cloud: ServiceCloud
let web: Server
let webUrl: string
before(async () => {
  web = createServer((request, response) => {
    const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? []
    if (request.url === "/whole") response.end(data)
    else if (request.url === "/torn") {
      response.writeHead(200, { "content-length": "1000" })
      response.write("the beginning", () => response.destroy())
    } else if (request.url !== "/disk") response.writeHead(404).end()
    else if (from === undefined) response.end(data)
    else {
      const range = `bytes ${from}-${data.length - 1}/${data.length}`
      response.writeHead(206, { "content-range": range }).end(data.slice(Number(from)))
    }
  })
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve))
  const { port } = web.address() as AddressInfo
  webUrl = `http://127.0.0.1:${port}`
  cloud = await startServices({
    services: [imageService],
    overrides: {
      "image.stores": [{ id: "web", type: "http" }],
      "image.showMultipleLocations": true,
      "image.showDirectUrl": true,
      "image.locationMax": 3,
      "image.webDownloadCidrs": ["127.0.0.1/32"],
      "image.webDownloadPorts": [80, port],
    },
  })
})
after(async () => {
  web.close()
  await cloud[Symbol.asyncDispose]()
})

const images = "/image/v2/images"
const admin = "admin:admin"

const request = (method: string, path: string, body?: unknown, as = "p1", headers = {}) =>
  cloud.request(method, path, { as, body, headers })

async function create(properties: object = {}): Promise<string> {
  const body = { name: "i", disk_format: "raw", container_format: "bare", ...properties }
  return (await request("POST", images, body)).body.id
}

const show = async (id: string) => (await request("GET", `${images}/${id}`)).body
const patch = (id: string, changes: unknown, as = "p1") =>
  request("PATCH", `${images}/${id}`, changes, as, {
    "content-type": "application/openstack-images-v2.1-json-patch",
  })
const place = (url: string, more = {}) => ({ url, metadata: {}, ...more })
const add = (id: string, url: string, more = {}, as = "p1") =>
  patch(id, [{ op: "add", path: "/locations/-", value: place(url, more) }], as)
const post = (id: string, url: string, more = {}, as = "p1") =>
  request("POST", `${images}/${id}/locations`, { url, ...more }, as)

const ended = async (id: string) =>
  await eventually("the end of the task", async () => {
    const task = (await request("GET", `${images}/${id}/tasks`)).body.tasks.at(-1)
    return (task?.status === "success" || task?.status === "failure") && task
  })

const bootable = async (id: string) => await findBootableImage(cloud.ctx("p1"), id)
/** Refused until then, with the reason. */
const wasRead = async (id: string) =>
  await eventually("the data to be read", async () => {
    try {
      return await bootable(id)
    } catch (error) {
      assert.ok(imageDataUnread.is(error), String(error))
      assert.match((error as Error).message, /its data were not read yet/)
      return false
    }
  })

async function textFrom(id: string, offset: number): Promise<string> {
  const { stream } = await readImageData(cloud.platform, id, offset)
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const nothingIsLeft = async (id: string) =>
  await eventually("nothing to be left", async () => {
    const root = join(cloud.platform.config.dataDir, "image")
    const names = await Promise.all(["store", "tmp", "staging"].map((dir) => readdir(join(root, dir))))
    return !names.flat().some((name) => name.startsWith(id))
  })

describe("PATCH of locations", () => {
  test("makes an image active whose data stay where they are, and boots once they were read", async () => {
    const id = await create()
    assert.deepEqual((await show(id)).locations, [])
    const added = await add(id, `${webUrl}/disk`, { metadata: { speed: "high", store: "mine" } })
    assert.equal(added.status, 200, JSON.stringify(added.body))
    const image = added.body
    assert.deepEqual(
      [image.status, image.size, image.stores, image.direct_url, image.os_hash_value],
      ["active", data.length, "web", `${webUrl}/disk`, null],
    )
    assert.deepEqual(image.locations, [{ url: `${webUrl}/disk`, metadata: { speed: "high", store: "web" } }])
    const read = await wasRead(id)
    assert.deepEqual([read.problem, read.checksum, read.sizeBytes], [null, sum("md5"), data.length])
    assert.equal((await show(id)).checksum, null, "nobody said it")
    assert.equal((await request("GET", `${images}/${id}/file`)).bytes.toString(), data)
    const part = await request("GET", `${images}/${id}/file`, undefined, "p1", { range: "bytes=5-8" })
    assert.deepEqual([part.status, part.bytes.toString()], [206, data.slice(5, 9)])
    await nothingIsLeft(id)
  })

  test("with a signature boots nothing that was not checked by it", async () => {
    const signature = { img_signature: "bm90IHNpZ25lZA==", img_signature_hash_method: "SHA-256" }
    const key = { img_signature_key_type: "RSA-PSS", img_signature_certificate_uuid: newUuid() }
    const id = await create({ ...signature, ...key })
    assert.equal((await add(id, `${webUrl}/disk`)).status, 200)
    await eventually("the refusal", async () => {
      const refused = await bootable(id).catch((error: Error) => error.message)
      return /Signature verification failed: there is no certificate/.test(String(refused))
    })
    await nothingIsLeft(id)
  })

  test("with sums keeps them, and refuses to boot what is something else", async () => {
    const right = { os_hash_algo: "sha512", os_hash_value: sum("sha512"), checksum: sum("md5") }
    const id = await create()
    assert.equal((await add(id, `${webUrl}/disk`, { validation_data: right })).status, 200)
    assert.equal((await show(id)).os_hash_value, right.os_hash_value)
    assert.equal((await wasRead(id)).problem, null)
    const wrong = { ...right, checksum: "1".repeat(32) }
    const other = await create()
    assert.equal((await add(other, `${webUrl}/disk`, { validation_data: wrong })).status, 200)
    const read = await wasRead(other)
    assert.equal(read.checksum, sum("md5"), "no host is given a sum that is only said")
    assert.match(read.problem ?? "", /checksum of its data is not what was said/)
    assert.equal((await add(id, `${webUrl}/disk#2`, { validation_data: right })).status, 200)
    assert.equal((await add(id, `${webUrl}/disk#3`, { validation_data: wrong })).status, 409)
    const empty = await create()
    for (const bad of [
      { ...right, os_hash_algo: "md4" },
      { ...right, os_hash_value: "zz" },
      { ...right, checksum: "beef" },
      { os_hash_value: right.os_hash_value },
    ])
      assert.equal((await add(empty, `${webUrl}/disk`, { validation_data: bad })).status, 400)
    assert.equal((await show(empty)).status, "queued")
  })

  test("of data that cannot be read whole keep an image from being booted", async () => {
    const id = await create()
    assert.equal((await add(id, `${webUrl}/torn`, { validation_data: claimed })).status, 200)
    await eventually("the reason", async () => {
      const error: Error | undefined = await bootable(id).then(
        () => undefined,
        (thrown: Error) => thrown,
      )
      assert.ok(imageDataUnread.is(error), "at no time may it be booted by a sum that is only said")
      return /cannot be read from/.test(error?.message ?? "")
    })
    await nothingIsLeft(id)
  })

  test("adds, orders and removes; the last one stays", async () => {
    const id = await create()
    const [first, second] = [`${webUrl}/disk`, `${webUrl}/disk#2`]
    const set = (locations: unknown[]) => patch(id, [{ op: "replace", path: "/locations", value: locations }])
    assert.equal((await set([])).status, 403)
    assert.equal((await set([place(first), place(second)])).status, 200)
    assert.equal((await set([place(second), place(first, { metadata: { a: "b" } })])).status, 200)
    const urls = async () => (await show(id)).locations.map((each: { url: string }) => each.url)
    assert.deepEqual(await urls(), [second, first])
    assert.equal((await set([place(first)])).status, 400)
    assert.equal((await set([place(first), place(`${webUrl}/whole`)])).status, 400)
    assert.equal((await add(id, first)).status, 400, "it is there")
    assert.equal(
      (await patch(id, [{ op: "add", path: "/locations/7", value: place(`${first}#9`) }])).status,
      400,
    )
    assert.equal(
      (await patch(id, [{ op: "add", path: "/locations/0", value: place(`${first}#3`) }])).status,
      200,
    )
    assert.equal((await add(id, `${first}#4`)).status, 413)
    const take = (at: string, as: string) => patch(id, [{ op: "remove", path: `/locations/${at}` }], as)
    assert.equal((await take("0", "p1")).status, 403)
    assert.equal((await take("9", admin)).status, 400)
    assert.equal((await take("0", admin)).status, 200)
    assert.equal((await take("1", admin)).status, 200)
    assert.equal((await take("0", admin)).status, 403)
    assert.deepEqual(await urls(), [second])
    const mixed = [
      { op: "replace", path: "/name", value: "n" },
      { op: "add", path: "/locations/-", value: place(first) },
    ]
    assert.equal((await patch(id, mixed)).status, 400)
  })

  test("removes the file of a place that was one", async () => {
    const id = await create()
    const put = await request("PUT", `${images}/${id}/file`, Buffer.from(data))
    assert.equal(put.status, 204)
    const [{ url }] = (await show(id)).locations
    assert.match(url, /^file:\/\/file\/[0-9a-f.-]+$/)
    assert.equal((await add(id, `${webUrl}/whole`)).status, 200)
    assert.equal((await patch(id, [{ op: "remove", path: "/locations/0" }], admin)).status, 200)
    await nothingIsLeft(id)
    assert.equal(await textFrom(id, 0), data)
    assert.equal(await textFrom(id, 10), data.slice(10), "of a server that knows no ranges")
  })

  test("takes only addresses that may be asked and that answer", async () => {
    const id = await create()
    for (const url of [
      "gopher://info.example/",
      "file:///etc/passwd",
      "http://169.254.169.254/",
      "http://[::1]/",
      webUrl.replace(/\d+$/, "22"),
      webUrl.replace("http://", "http://user:secret@"),
      `${webUrl}/missing`,
      "not an address",
    ])
      assert.equal((await add(id, url)).status, 400, url)
    assert.equal((await add(id, `${webUrl}/disk`, {}, "p2")).status, 404)
    assert.equal((await add(newUuid(), `${webUrl}/disk`)).status, 404)
    assert.deepEqual([(await show(id)).status, (await show(id)).locations], ["queued", []])
  })

  test("is not there where locations are hidden, nor without a store for it", async () => {
    await using hidden = await startServices({ services: [imageService] })
    const body = { disk_format: "raw", container_format: "bare" }
    const { id, locations } = (await hidden.request("POST", images, { as: "p1", body })).body
    assert.equal(locations, undefined)
    const headers = { "content-type": "application/openstack-images-v2.1-json-patch" }
    const changes = [{ op: "add", path: "/locations/-", value: place("http://a.example/") }]
    const patched = await hidden.request("PATCH", `${images}/${id}`, { as: "p1", body: changes, headers })
    assert.equal(patched.status, 403)
    const url = "http://a.example/"
    const posted = await hidden.request("POST", `${images}/${id}/locations`, { as: "p1", body: { url } })
    assert.equal(posted.status, 403)
  })
})

describe("the API of locations", () => {
  test("makes an image of what it has read and compared", async () => {
    for (const algorithm of ["sha256", "sha512"]) {
      const id = await create()
      const validation_data = { os_hash_algo: algorithm, os_hash_value: sum(algorithm) }
      const said = algorithm === "sha256" ? { validation_data } : {}
      assert.equal((await post(id, `${webUrl}/disk`, said)).status, 202)
      const task = await ended(id)
      assert.deepEqual([task.type, task.status], ["location_import", "success"])
      const image = await show(id)
      assert.deepEqual(
        [image.status, image.os_hash_algo, image.os_hash_value, image.checksum, image.size, image.stores],
        ["active", algorithm, sum(algorithm), sum("md5"), data.length, "web"],
      )
      assert.equal((await bootable(id)).problem, null)
      await nothingIsLeft(id)
      assert.equal((await post(id, `${webUrl}/disk`)).status, 409, "only of a queued image")
      assert.equal((await request("GET", `${images}/${id}/locations`)).status, 403)
      assert.deepEqual(
        (await request("GET", `${images}/${id}/locations`, undefined, "p1:service,reader")).body,
        [{ url: `${webUrl}/disk`, metadata: { store: "web" } }],
      )
    }
  })

  test("leaves an image queued whose data are others, or do not come", async () => {
    for (const [url, said] of [
      [
        `${webUrl}/disk`,
        { validation_data: { os_hash_algo: "sha512", os_hash_value: "beefdead".repeat(16) } },
      ],
      [`${webUrl}/missing`, {}],
      ["http://does-not.exist/x", {}],
    ] as const) {
      const id = await create()
      assert.equal((await post(id, url, said)).status, 202)
      assert.equal((await ended(id)).status, "failure")
      const image = await show(id)
      assert.deepEqual(
        [image.status, image.checksum, image.os_glance_import_task],
        ["queued", null, undefined],
      )
      await nothingIsLeft(id)
      assert.equal((await post(id, `${webUrl}/disk`)).status, 202, "it may be tried again")
    }
  })

  test("refuses what cannot be meant", async () => {
    const id = await create()
    for (const validation_data of [
      { os_hash_algo: "sha512", os_hash_value: "dbc9" },
      { os_hash_value: sum("sha512") },
      { os_hash_algo: "sha123", os_hash_value: sum("sha512") },
      { os_hash_algo: "sha512", os_hash_value: sum("sha256") },
    ])
      assert.equal((await post(id, `${webUrl}/disk`, { validation_data })).status, 400)
    assert.equal((await post(id, "http://169.254.169.254/")).status, 400)
    assert.equal((await request("POST", `${images}/${id}/locations`, {})).status, 400)
    assert.equal((await post(id, `${webUrl}/disk`, {}, "p2")).status, 404)
    assert.equal((await post(id, `${webUrl}/disk`, {}, "p1:reader")).status, 403)
    assert.equal((await show(id)).status, "queued")
  })
})
