import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { readdir } from "node:fs/promises"
import { request as httpRequest } from "node:http"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { imageService } from "../src/image/service.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServiceCloud, type ServiceReply, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
before(async () => {
  cloud = await startServices({ services: [imageService] })
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
})

const images = "/image/v2/images"

async function create(as: string, attributes: Record<string, unknown> = {}): Promise<ServiceReply> {
  return await cloud.request("POST", images, {
    as,
    body: { name: "i", disk_format: "raw", container_format: "bare", ...attributes },
  })
}

async function createWithData(
  as: string,
  data: Buffer,
  attributes: Record<string, unknown> = {},
): Promise<string> {
  const { body } = await create(as, attributes)
  const put = await cloud.request("PUT", `${images}/${body.id}/file`, { as, body: data })
  assert.equal(put.status, 204, put.body)
  return body.id
}

const patch = (as: string, id: string, changes: unknown, version = "v2.1") =>
  cloud.request("PATCH", `${images}/${id}`, {
    as,
    body: changes,
    headers: { "content-type": `application/openstack-images-${version}-json-patch` },
  })

const listIds = async (as: string, query = ""): Promise<string[]> =>
  (await cloud.request("GET", `${images}?limit=1000&${query}`, { as })).body.images.map(
    (i: { id: string }) => i.id,
  )

async function storedFiles(): Promise<string[]> {
  const dir = join(cloud.platform.config.dataDir, "image")
  const names = await Promise.all(["store", "tmp", "staging"].map((d) => readdir(join(dir, d))))
  return names.flat()
}

/** Files of images that were deleted before may still be on their way out. */
const nothingMoreThan = (before: readonly string[]) =>
  eventually("no file more", async () => (await storedFiles()).every((name) => before.includes(name)))

describe("create", () => {
  test("gives a queued image with Glance's shape", async () => {
    const { status, body, headers } = await create("p1", { hw_disk_bus: "virtio", tags: ["a", "b", "a"] })
    assert.equal(status, 201)
    assert.equal(headers.get("location"), `${cloud.baseUrl}/image/v2/images/${body.id}`)
    assert.match(body.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.deepEqual(
      { ...body, id: "", created_at: "", updated_at: "", self: "", file: "" },
      {
        id: "",
        name: "i",
        status: "queued",
        visibility: "shared",
        disk_format: "raw",
        container_format: "bare",
        size: null,
        virtual_size: null,
        checksum: null,
        os_hash_algo: null,
        os_hash_value: null,
        protected: false,
        os_hidden: false,
        min_ram: 0,
        min_disk: 0,
        owner: "p1",
        tags: ["a", "b"],
        hw_disk_bus: "virtio",
        created_at: "",
        updated_at: "",
        self: "",
        file: "",
        schema: "/v2/schemas/image",
      },
    )
  })

  test("refuses what a user may not say", async () => {
    const statusOf = async (as: string, attributes: Record<string, unknown>) =>
      (await create(as, attributes)).status
    assert.equal(await statusOf("p1", { disk_format: "wrong" }), 400)
    assert.equal(await statusOf("p1", { name: "x".repeat(256) }), 400)
    assert.equal(await statusOf("p1", { some: 5 }), 400)
    assert.equal(await statusOf("p1", { min_disk: -1 }), 400)
    assert.equal(await statusOf("p1", { ["k".repeat(256)]: "v" }), 400)
    assert.equal(await statusOf("p1", { status: "active" }), 403)
    assert.equal(await statusOf("p1", { direct_url: "x" }), 403)
    assert.equal(await statusOf("p1", { os_glance_foo: "x" }), 403)
    assert.equal(await statusOf("p1", { deleted: "x" }), 403)
    assert.equal(await statusOf("p1", { visibility: "public" }), 403)
    assert.equal(await statusOf("p1", { owner: "p2" }), 403)
    assert.equal(await statusOf("p1:reader", {}), 403)
    assert.equal(await statusOf("admin:admin", { owner: "p2", visibility: "public", os_hidden: true }), 201)
    assert.equal((await cloud.request("POST", images, { body: {} })).status, 401)
  })

  test("an id is taken once", async () => {
    const id = newUuid()
    const replies = await Promise.all([1, 2, 3].map(() => create("p1", { id })))
    assert.deepEqual(replies.map((r) => r.status).sort(), [201, 409, 409])
    assert.equal((await cloud.request("DELETE", `${images}/${id}`, { as: "p1" })).status, 204)
    for (const as of ["p1", "p2", "admin:admin"])
      assert.equal((await create(as, { id: id.toUpperCase() })).status, 409, as)
    assert.equal((await cloud.request("GET", `${images}/${id}`, { as: "admin:admin" })).status, 404)
  })
})

describe("data", () => {
  test("go up and come down, whole and in part", async () => {
    const data = Buffer.from("0123456789".repeat(100))
    const id = await createWithData("p1", data)
    const { body } = await cloud.request("GET", `${images}/${id}`, { as: "p1" })
    assert.equal(body.status, "active")
    assert.equal(body.size, 1000)
    assert.equal(body.virtual_size, 1000)
    assert.equal(body.checksum, createHash("md5").update(data).digest("hex"))
    assert.equal(body.os_hash_algo, "sha512")
    assert.equal(body.os_hash_value, createHash("sha512").update(data).digest("hex"))
    assert.equal(body.stores, "file")
    const get = (headers = {}) => cloud.request("GET", `${images}/${id}/file`, { as: "p1", headers })
    const whole = await get()
    assert.equal(whole.status, 200)
    assert.deepEqual(whole.bytes, data)
    assert.equal(whole.headers.get("content-md5"), body.checksum)
    assert.equal(whole.headers.get("content-length"), "1000")
    const part = await get({ range: "bytes=5-9" })
    assert.equal(part.status, 206)
    assert.equal(part.bytes.toString(), "56789")
    assert.equal(part.headers.get("content-range"), "bytes 5-9/1000")
    assert.equal((await get({ range: "bytes=-3" })).bytes.toString(), "789")
    assert.equal((await get({ "content-range": "bytes 0-1/1000" })).bytes.toString(), "01")
    for (const range of ["bytes=1000-", "bytes=x", "bytes=5-2", "bytes=0-1,3-4"])
      assert.equal((await get({ range })).status, 416, range)
  })

  test("are absent before the upload", async () => {
    const { body } = await create("p1")
    const { status, bytes } = await cloud.request("GET", `${images}/${body.id}/file`, { as: "p1" })
    assert.equal(status, 204)
    assert.equal(bytes.length, 0)
  })

  test("are written once: of three uploads at a time one wins", async () => {
    const { body } = await create("p1")
    const put = (text: string) =>
      cloud.request("PUT", `${images}/${body.id}/file`, { as: "p1", body: Buffer.from(text) })
    const replies = await Promise.all(["a", "b", "c"].map(put))
    assert.deepEqual(replies.map((r) => r.status).sort(), [204, 409, 409])
    const winner = ["a", "b", "c"][replies.findIndex((r) => r.status === 204)]
    const { bytes } = await cloud.request("GET", `${images}/${body.id}/file`, { as: "p1" })
    assert.equal(bytes.toString(), winner)
  })

  test("need their formats, the right media type and the right project", async () => {
    const { body } = await cloud.request("POST", images, { as: "p1", body: { name: "bare" } })
    const put = (as: string, headers = {}) =>
      cloud.request("PUT", `${images}/${body.id}/file`, { as, body: Buffer.from("x"), headers })
    const missing = await put("p1")
    assert.equal(missing.status, 400)
    assert.match(missing.body.message, /disk_format, container_format must be set/)
    assert.equal((await put("p1", { "content-type": "text/plain" })).status, 415)
    assert.equal((await put("p2")).status, 404)
    assert.equal((await put("p1:reader")).status, 403)
  })

  test("that end early leave a queued image and no file", async () => {
    const { body } = await create("p1")
    const before = await storedFiles()
    const url = new URL(`${cloud.baseUrl}${images}/${body.id}/file`)
    const upload = httpRequest(url, {
      method: "PUT",
      headers: { "x-auth-token": "p1", "content-type": "application/octet-stream", "content-length": "1000" },
    })
    upload.on("error", () => {})
    upload.write("only this much")
    await eventually("the transfer to begin", async () => (await storedFiles()).length > before.length)
    upload.destroy()
    const show = async () => (await cloud.request("GET", `${images}/${body.id}`, { as: "p1" })).body
    await eventually("the image to be queued again", async () => (await show()).status === "queued")
    await nothingMoreThan(before)
    const again = await cloud.request("PUT", `${images}/${body.id}/file`, {
      as: "p1",
      body: Buffer.from("now"),
    })
    assert.equal(again.status, 204)
    assert.equal((await show()).status, "active")
  })

  test("of an image that is deleted on the way go nowhere", async () => {
    const { body } = await create("p1")
    const before = await storedFiles()
    const url = new URL(`${cloud.baseUrl}${images}/${body.id}/file`)
    const status = new Promise<number | undefined>((resolve, reject) => {
      const upload = httpRequest(url, {
        method: "PUT",
        headers: { "x-auth-token": "p1", "content-type": "application/octet-stream" },
      })
      upload.on("response", (r) => {
        r.resume()
        resolve(r.statusCode)
      })
      upload.on("error", reject)
      upload.write("first part")
      void eventually("the transfer to begin", async () => (await storedFiles()).length > before.length)
        .then(() => cloud.request("DELETE", `${images}/${body.id}`, { as: "p1" }))
        .then((gone) => {
          assert.equal(gone.status, 204)
          upload.end("second part")
        }, reject)
    })
    assert.equal(await status, 410)
    await nothingMoreThan(before)
  })

  test("that are not what was declared are refused, and what refers to other files", async () => {
    const random = (await create("p1", { disk_format: "qcow2" })).body
    const path = `${images}/${random.id}/file`
    const refused = await cloud.request("PUT", path, { as: "p1", body: Buffer.alloc(2000, 7) })
    assert.deepEqual([refused.status, /plain data/.test(refused.body.message)], [415, true])
    assert.equal((await cloud.request("GET", `${images}/${random.id}`, { as: "p1" })).body.status, "queued")
    const header = Buffer.alloc(512)
    header.write("QFI\xfb", 0, "latin1")
    header.writeUInt32BE(3, 4)
    header.writeBigUInt64BE(104n, 8) // a backing file
    const made = (await create("p1", { disk_format: "raw" })).body
    const put = await cloud.request("PUT", `${images}/${made.id}/file`, { as: "p1", body: header })
    assert.equal(put.status, 415)
    assert.match(put.body.message, /backing file/)
    assert.equal((await cloud.request("GET", `${images}/${made.id}`, { as: "p1" })).body.status, "queued")
  })
})

describe("who sees what", () => {
  test("private and shared images are their project's; public and community ones everybody's", async () => {
    const ids: Record<string, string> = {}
    for (const visibility of ["private", "shared", "community"])
      ids[visibility] = (await create("p1", { visibility })).body.id
    ids.public = (await create("admin:admin", { visibility: "public" })).body.id
    const show = async (as: string, id = "") => (await cloud.request("GET", `${images}/${id}`, { as })).status
    assert.equal(await show("p1", ids.private), 200)
    assert.equal(await show("p2", ids.private), 404)
    assert.equal(await show("p2", ids.shared), 404)
    assert.equal(await show("p2", ids.community), 200)
    assert.equal(await show("p2", ids.public), 200)
    assert.equal(await show("admin:admin", ids.private), 200)
    const seen = await listIds("p2")
    assert.ok(seen.includes(ids.public ?? ""))
    assert.ok(!seen.includes(ids.community ?? ""), "community images of others are listed on demand only")
    assert.ok((await listIds("p2", "visibility=community")).includes(ids.community ?? ""))
    assert.ok((await listIds("p2", "visibility=all")).includes(ids.community ?? ""))
    assert.equal((await cloud.request("DELETE", `${images}/${ids.public}`, { as: "p2" })).status, 403)
    assert.equal((await patch("p2", ids.public ?? "", [{ op: "add", path: "/a", value: "b" }])).status, 403)
    assert.equal((await patch("p2", ids.private ?? "", [{ op: "add", path: "/a", value: "b" }])).status, 404)
  })

  test("sharing: named, pending, accepted, removed", async () => {
    const id = (await create("p1")).body.id
    const members = `${images}/${id}/members`
    const added = await cloud.request("POST", members, { as: "p1", body: { member: "p3" } })
    assert.equal(added.status, 200)
    assert.equal(added.body.status, "pending")
    assert.equal((await cloud.request("POST", members, { as: "p1", body: { member: "p3" } })).status, 409)
    assert.equal((await cloud.request("POST", members, { as: "p3", body: { member: "p4" } })).status, 403)
    assert.equal((await cloud.request("POST", members, { as: "p1", body: {} })).status, 400)
    assert.deepEqual(
      [await listIds("p3"), await listIds("p3", "member_status=pending")].map((l) => l.includes(id)),
      [false, true],
    )
    const answer = (as: string, member: string, status: string) =>
      cloud.request("PUT", `${members}/${member}`, { as, body: { status } })
    assert.equal((await answer("p1", "p3", "accepted")).status, 403, "the owner cannot accept for another")
    assert.equal((await answer("p3", "p3", "perhaps")).status, 400)
    assert.equal((await answer("p3", "p3", "accepted")).status, 200)
    assert.ok((await listIds("p3")).includes(id))
    await cloud.request("POST", members, { as: "p1", body: { member: "p5" } })
    assert.equal((await answer("p3", "p5", "accepted")).status, 404, "nor may a member for another")
    assert.equal((await cloud.request("GET", members, { as: "p1" })).body.members.length, 2)
    assert.equal((await cloud.request("GET", members, { as: "p3" })).body.members.length, 1)
    assert.equal((await cloud.request("GET", `${members}/p5`, { as: "p3" })).status, 404)
    assert.equal((await cloud.request("DELETE", `${members}/p3`, { as: "p3" })).status, 403)
    assert.equal((await cloud.request("DELETE", `${members}/p3`, { as: "p1" })).status, 204)
    assert.equal((await cloud.request("GET", `${images}/${id}`, { as: "p3" })).status, 404)
    const other = (await create("p1", { visibility: "private" })).body.id
    const refused = await cloud.request("POST", `${images}/${other}/members`, {
      as: "p1",
      body: { member: "p3" },
    })
    assert.equal(refused.status, 403)
  })
})

describe("patch", () => {
  test("adds, replaces and removes, all or nothing", async () => {
    const id = (await create("p1", { a: "1" })).body.id
    const done = await patch("p1", id, [
      { op: "replace", path: "/name", value: "new" },
      { op: "add", path: "/b", value: "2" },
      { op: "replace", path: "/a", value: "3" },
      { op: "add", path: "/c", value: "gone" },
      { op: "remove", path: "/c" },
      { op: "replace", path: "/tags", value: ["t"] },
      { op: "add", path: "/with~1slash", value: "v" },
    ])
    assert.equal(done.status, 200)
    const { name, a, b, c, tags } = done.body
    assert.deepEqual({ name, a, b, c, tags }, { name: "new", a: "3", b: "2", c: undefined, tags: ["t"] })
    assert.equal(done.body["with/slash"], "v")
    const failed = await patch("p1", id, [
      { op: "replace", path: "/name", value: "never" },
      { op: "remove", path: "/nothing" },
    ])
    assert.equal(failed.status, 409)
    assert.equal((await cloud.request("GET", `${images}/${id}`, { as: "p1" })).body.name, "new")
  })

  test("the older format refuses to add what is there", async () => {
    const id = (await create("p1", { a: "1" })).body.id
    assert.equal((await patch("p1", id, [{ add: "/a", value: "2" }], "v2.0")).status, 409)
    assert.equal((await patch("p1", id, [{ replace: "/a", value: "2" }], "v2.0")).body.a, "2")
    assert.equal((await patch("p1", id, [{ add: "/x", remove: "/x", value: "2" }], "v2.0")).status, 400)
  })

  test("says what is wrong", async () => {
    const id = (await create("p1")).body.id
    const status = async (changes: unknown) => (await patch("p1", id, changes)).status
    assert.equal(await status([{ op: "replace", path: "/id", value: newUuid() }]), 403)
    assert.equal(await status([{ op: "replace", path: "/checksum", value: "x" }]), 403)
    assert.equal(await status([{ op: "add", path: "/os_glance_x", value: "x" }]), 403)
    assert.equal(await status([{ op: "replace", path: "/owner", value: "p2" }]), 403)
    assert.equal(await status([{ op: "replace", path: "/visibility", value: "public" }]), 403)
    assert.equal(await status([{ op: "remove", path: "/name" }]), 403)
    assert.equal(await status([{ op: "add", path: "/locations/-", value: {} }]), 400)
    const value = { url: "http://a.example/", metadata: {} }
    assert.equal(await status([{ op: "add", path: "/locations/-", value }]), 403)
    assert.equal(await status([{ op: "replace", path: "/nothing", value: "x" }]), 409)
    assert.equal(await status([{ op: "replace", path: "name", value: "x" }]), 400)
    assert.equal(await status([{ op: "replace", path: "/name/x", value: "x" }]), 400)
    assert.equal(await status([{ op: "move", path: "/name", value: "x" }]), 400)
    assert.equal(await status([{ op: "replace", path: "/name" }]), 400)
    assert.equal(await status([{ op: "replace", path: "/min_ram", value: "x" }]), 400)
    assert.equal(await status({ op: "replace" }), 400)
    const wrongType = await cloud.request("PATCH", `${images}/${id}`, { as: "p1", body: [] })
    assert.equal(wrongType.status, 415)
    assert.match(wrongType.headers.get("accept-patch") ?? "", /v2\.1-json-patch/)
  })

  test("however many change it at the same time, none is refused", async () => {
    const { body } = await create("p1")
    const names = Array.from({ length: 40 }, (_, n) => `key${n}`)
    const replies = await Promise.all(
      names.map((name) => patch("p1", body.id, [{ op: "add", path: `/${name}`, value: "v" }])),
    )
    assert.deepEqual(
      replies.map((reply) => reply.status),
      names.map(() => 200),
    )
    const image = (await cloud.request("GET", `${images}/${body.id}`, { as: "p1" })).body
    assert.deepEqual(
      names.filter((name) => image[name] !== "v"),
      [],
    )
  })

  test("changes at the same time are all kept", async () => {
    const id = (await create("p1")).body.id
    const names = Array.from({ length: 6 }, (_, i) => `tag${i}`)
    const replies = await Promise.all(
      names.map((tag) => cloud.request("PUT", `${images}/${id}/tags/${tag}`, { as: "p1" })),
    )
    assert.ok(replies.every((r) => r.status === 204))
    assert.deepEqual((await cloud.request("GET", `${images}/${id}`, { as: "p1" })).body.tags.sort(), names)
    assert.equal((await cloud.request("DELETE", `${images}/${id}/tags/tag0`, { as: "p1" })).status, 204)
    assert.equal((await cloud.request("DELETE", `${images}/${id}/tags/tag0`, { as: "p1" })).status, 404)
  })

  test("formats are fixed once there are data", async () => {
    const id = await createWithData("p1", Buffer.from("x"))
    assert.equal((await patch("p1", id, [{ op: "replace", path: "/disk_format", value: "iso" }])).status, 403)
  })
})

describe("delete and deactivate", () => {
  test("a protected image stays", async () => {
    const id = await createWithData("p1", Buffer.from("x"), { protected: true })
    assert.equal((await cloud.request("DELETE", `${images}/${id}`, { as: "p1" })).status, 403)
    await patch("p1", id, [{ op: "replace", path: "/protected", value: false }])
    assert.equal((await cloud.request("DELETE", `${images}/${id}`, { as: "p1" })).status, 204)
    assert.equal((await cloud.request("DELETE", `${images}/${id}`, { as: "p1" })).status, 404)
    await eventually("no file", async () => !(await storedFiles()).some((name) => name.startsWith(id)))
  })

  test("a deactivated image gives its data to administrators only", async () => {
    const id = await createWithData("p1", Buffer.from("x"))
    const act = (action: string, target = id) =>
      cloud.request("POST", `${images}/${target}/actions/${action}`, { as: "p1" })
    assert.equal((await act("deactivate")).status, 204)
    assert.equal((await act("deactivate")).status, 204)
    assert.equal((await cloud.request("GET", `${images}/${id}/file`, { as: "p1" })).status, 403)
    assert.equal((await cloud.request("GET", `${images}/${id}/file`, { as: "admin:admin" })).status, 200)
    assert.equal((await act("reactivate")).status, 204)
    assert.equal((await cloud.request("GET", `${images}/${id}/file`, { as: "p1" })).status, 200)
    assert.equal((await act("deactivate", (await create("p1")).body.id)).status, 403)
  })
})

describe("errors", () => {
  test("come in the shape that the client accepts", async () => {
    const get = (accept: string) =>
      cloud.request("GET", `${images}/${newUuid()}`, { as: "p1", headers: { accept } })
    const json = await get("application/json")
    assert.equal(json.status, 404)
    assert.equal(json.body.code, "404 Not Found")
    assert.equal(json.body.title, "Not Found")
    assert.match(json.body.message, /No image found/)
    const html = await get("*/*")
    assert.match(html.headers.get("content-type") ?? "", /text\/html/)
    assert.match(html.body, /<title>404 Not Found<\/title>/)
    const text = await get("image/png")
    assert.match(text.headers.get("content-type") ?? "", /text\/plain/)
    assert.match(text.body, /^404 Not Found\n\nNo image found/)
  })
})

describe("an image without an id", () => {
  test("is not there, with or without a body", async () => {
    assert.equal((await cloud.request("GET", `${images}/`, { as: "p1" })).status, 404)
    const headers = { "content-type": "application/json" }
    assert.equal((await cloud.request("DELETE", `${images}/`, { as: "p1", headers })).status, 404)
  })
})

describe("discovery", () => {
  test("versions at the root need no token", async () => {
    const root = await cloud.request("GET", "/image")
    assert.equal(root.status, 300)
    assert.equal(root.body.versions[0].status, "CURRENT")
    assert.equal((await cloud.request("GET", "/image/versions")).status, 200)
  })

  test("schemas name themselves", async () => {
    for (const name of ["image", "images", "member", "members", "task", "tasks"])
      assert.equal((await cloud.request("GET", `/image/v2/schemas/${name}`, { as: "p1" })).body.name, name)
  })
})
