// Several stores by name: where data come, go and are read from.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { sql } from "kysely"
import { imageService } from "../src/image/service.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
let fast: string
before(async () => {
  fast = await mkdtemp(join(tmpdir(), "kumoi-store-"))
  cloud = await startServices({
    services: [imageService],
    overrides: {
      "image.stores": [
        { id: "fast", type: "file", directory: fast, weight: 10 },
        { id: "web", type: "http", description: "Elsewhere" },
      ],
      "image.quota.sizeMibMax": 5,
    },
  })
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
  await rm(fast, { recursive: true, force: true })
})

const images = "/image/v2/images"

const request = (method: string, path: string, body?: unknown, as = "p1", headers = {}) =>
  cloud.request(method, path, { as, body, headers })

async function create(as = "p1"): Promise<string> {
  const body = { name: "i", disk_format: "raw", container_format: "bare" }
  return (await request("POST", images, body, as)).body.id
}

async function createWith(text: string, store?: string, as = "p1"): Promise<string> {
  const id = await create(as)
  const headers = store === undefined ? {} : { "x-image-meta-store": store }
  const put = await request("PUT", `${images}/${id}/file`, Buffer.from(text), as, headers)
  assert.equal(put.status, 204, JSON.stringify(put.body))
  return id
}

const show = async (id: string, as = "p1") => (await request("GET", `${images}/${id}`, undefined, as)).body
const download = async (id: string) => (await request("GET", `${images}/${id}/file`)).bytes.toString()
const taskOf = async (id: string, as = "p1") =>
  (await request("GET", `${images}/${id}/tasks`, undefined, as)).body.tasks.at(-1)

const copy = (id: string, extra: Record<string, unknown>, as = "admin:admin") =>
  request("POST", `${images}/${id}/import`, { method: { name: "copy-image" }, ...extra }, as)

const ended = async (id: string, as = "p1") =>
  await eventually("the end of the task", async () => {
    const task = await taskOf(id, as)
    return (task?.status === "success" || task?.status === "failure") && task
  })

async function filesIn(root: string, id: string): Promise<string[]> {
  const names = await Promise.all(["store", "tmp", "staging"].map((dir) => readdir(join(root, dir))))
  return names.flat().filter((name) => name.startsWith(id))
}

const mainRoot = () => join(cloud.platform.config.dataDir, "image")

async function filesOf(id: string): Promise<{ main: string[]; fast: string[] }> {
  return { main: await filesIn(mainRoot(), id), fast: await filesIn(fast, id) }
}

/** What was staged goes right after the task's end was told. */
async function filesAre(id: string, main: number, inFast: number): Promise<void> {
  await eventually(`${main} and ${inFast} files of an image`, async () => {
    const now = await filesOf(id)
    return now.main.length === main && now.fast.length === inFast
  })
}

test("stores are listed with what can be done with them; where they lie is for operators", async () => {
  const { stores } = (await request("GET", "/image/v2/info/stores")).body
  assert.deepEqual(stores, [
    { id: "file", description: "Files of this cloud", weight: 0, default: "true" },
    { id: "fast", description: "", weight: 10 },
    { id: "web", description: "Elsewhere", weight: 0, "read-only": "true" },
  ])
  assert.equal((await request("GET", "/image/v2/info/stores/detail")).status, 403)
  const detail = (await request("GET", "/image/v2/info/stores/detail", undefined, "admin:admin")).body.stores
  assert.deepEqual(
    detail.map((store: { type: string; properties: { data_dir?: string } }) => [
      store.type,
      store.properties.data_dir,
    ]),
    [
      ["file", join(cloud.platform.config.dataDir, "image")],
      ["file", fast],
      ["http", undefined],
    ],
  )
  const made = await request("POST", images, { name: "i" })
  assert.equal(made.headers.get("openstack-image-store-ids"), "file,fast,web")
})

test("an upload goes to the store that it names", async () => {
  const id = await createWith("to the fast one", "fast")
  assert.equal((await show(id)).stores, "fast")
  assert.equal(await download(id), "to the fast one")
  const { main, fast } = await filesOf(id)
  assert.deepEqual([main.length, fast.length], [0, 1])
  assert.equal((await request("DELETE", `${images}/${id}`)).status, 204)
  assert.deepEqual((await filesOf(id)).fast, [])
  const other = await create()
  const put = (store: string) =>
    request("PUT", `${images}/${other}/file`, Buffer.from("x"), "p1", { "x-image-meta-store": store })
  assert.equal((await put("none")).status, 400)
  assert.equal((await put("web")).status, 410)
  assert.equal((await show(other)).status, "queued")
})

describe("imports", () => {
  const stage = (id: string, text: string) => request("PUT", `${images}/${id}/stage`, Buffer.from(text))
  const start = (id: string, extra: Record<string, unknown>) =>
    request("POST", `${images}/${id}/import`, { method: { name: "glance-direct" }, ...extra })

  test("bring data to every store, or to those that are named", async () => {
    for (const extra of [{ all_stores: true }, { stores: ["file", "fast", "file"] }]) {
      const id = await create()
      await stage(id, "everywhere")
      assert.equal((await start(id, extra)).status, 202)
      assert.equal((await ended(id)).status, "success")
      const image = await show(id)
      assert.equal(image.stores, "fast,file", "the highest weight first")
      assert.deepEqual([image.os_glance_importing_to_stores, image.os_glance_failed_import], ["", ""])
      assert.equal(image.checksum, createHash("md5").update("everywhere").digest("hex"))
      await filesAre(id, 1, 1)
    }
  })

  test("refuse stores that are none, or take nothing", async () => {
    const id = await create()
    await stage(id, "x")
    assert.equal((await start(id, { stores: ["none"] })).status, 409)
    assert.equal((await start(id, { stores: ["web"] })).status, 410)
    assert.equal((await start(id, { stores: [] })).status, 400)
    assert.equal((await start(id, { stores: ["fast"], all_stores: true })).status, 400)
    assert.equal((await show(id)).status, "uploading")
  })

  test("with a store that is broken, fail as a whole or go on without it", async () => {
    const tmp = join(fast, "tmp")
    await rm(tmp, { recursive: true })
    await writeFile(tmp, "no directory")
    try {
      for (const mustAll of [true, false]) {
        const id = await create()
        await stage(id, "half")
        const started = await start(id, { all_stores: true, all_stores_must_succeed: mustAll })
        assert.equal(started.status, 202)
        assert.equal((await ended(id)).status, mustAll ? "failure" : "success")
        const image = await show(id)
        assert.equal(image.status, mustAll ? "queued" : "active")
        assert.equal(image.stores, mustAll ? undefined : "file")
        assert.equal(image.os_glance_failed_import, mustAll ? "file,fast" : "fast")
        const mainFiles = async () => (await filesIn(mainRoot(), id)).length
        await eventually("what was staged to be gone", async () => (await mainFiles()) === (mustAll ? 0 : 1))
      }
    } finally {
      await rm(tmp)
    }
  })
})

describe("copy-image", () => {
  test("brings an image to further stores while it is used, and is for administrators", async () => {
    const id = await createWith("to be copied")
    assert.equal((await copy(id, { stores: ["fast"] }, "p1")).status, 403)
    assert.equal((await copy(id, { stores: ["fast"] }, "p2")).status, 404)
    assert.equal((await copy(id, { stores: ["fast"] })).status, 202)
    const task = await ended(id)
    assert.deepEqual([task.status, task.result], ["success", { image_id: id }])
    const image = await show(id)
    assert.deepEqual([image.status, image.stores], ["active", "fast,file"])
    assert.deepEqual([image.os_glance_import_task, image.os_glance_importing_to_stores], [undefined, ""])
    assert.equal((await copy(id, { stores: ["fast"] })).status, 400, "it is there already")
    // Of an image that every store got at its upload.
    await sql`update image.image set properties = '{}' where id = ${id}`.execute(cloud.platform.db)
    assert.equal((await copy(id, { all_stores: true })).status, 202, "nothing is left to do")
    const done = await show(id)
    assert.deepEqual([done.os_glance_importing_to_stores, done.os_glance_failed_import], ["", ""])
    assert.equal((await copy(await create(), { stores: ["fast"] })).status, 409, "it has no data")
    assert.equal((await copy(newUuid(), { stores: ["fast"] })).status, 404)
  })

  test("counts each copy, and refuses those that the quota has no room for", async () => {
    const mib = 1024 * 1024
    const id = await createWith("x".repeat(3 * mib), "file", "p3")
    const refused = await copy(id, { stores: ["fast"] })
    assert.equal(refused.status, 413)
    const usage = (await request("GET", "/image/v2/info/usage", undefined, "p3")).body.usage
    assert.deepEqual(usage.image_size_total, { usage: 3, limit: 5 })
    assert.equal((await request("DELETE", `${images}/${id}`, undefined, "p3")).status, 204)
    const small = await createWith("x".repeat(2 * mib), "file", "p3")
    assert.equal((await copy(small, { stores: ["fast"] })).status, 202)
    await ended(small, "p3")
    const now = (await request("GET", "/image/v2/info/usage", undefined, "p3")).body.usage
    assert.equal(now.image_size_total.usage, 4)
  })

  test("of data that are not what they were leaves nothing, and the image as it is", async () => {
    const id = await createWith("original")
    const [name = ""] = (await filesOf(id)).main
    await writeFile(join(cloud.platform.config.dataDir, "image/store", name), "tampered")
    assert.equal((await copy(id, { stores: ["fast"] })).status, 202)
    const task = await ended(id)
    assert.equal(task.status, "failure")
    assert.match(task.message, /not what its checksum says/)
    const image = await show(id)
    assert.deepEqual([image.status, image.stores, image.os_glance_failed_import], ["active", "file", "fast"])
    assert.deepEqual((await filesOf(id)).fast, [])
  })
})

describe("taking data out of a store", () => {
  const take = (store: string, id: string, as = "admin:admin") =>
    request("DELETE", `/image/v2/stores/${store}/${id}`, undefined, as)

  test("leaves those of the others, and never the last", async () => {
    const id = await createWith("two places")
    await copy(id, { stores: ["fast"] })
    await ended(id)
    assert.equal((await take("fast", id, "p1")).status, 403)
    assert.equal((await take("fast", id, "p2")).status, 404)
    assert.equal((await take("none", id)).status, 409)
    assert.equal((await take("web", id)).status, 404)
    assert.equal((await take("file", id)).status, 204)
    assert.equal((await show(id)).stores, "fast")
    assert.deepEqual((await filesOf(id)).main, [])
    assert.equal(await download(id), "two places")
    assert.equal((await take("fast", id)).status, 403)
    assert.equal((await take("fast", await create())).status, 409)
  })
})

test("of two that take the last two places at once one is refused, and the data stay", async () => {
  for (let round = 0; round < 5; round++) {
    const id = await createWith("kept")
    await copy(id, { stores: ["fast"] })
    await ended(id)
    const taken = await Promise.all(
      ["file", "fast"].map((store) =>
        request("DELETE", `/image/v2/stores/${store}/${id}`, undefined, "admin:admin"),
      ),
    )
    assert.deepEqual(taken.map(({ status }) => status).sort(), [204, 403])
    assert.equal(await download(id), "kept")
  }
})

test("a place that cannot be read is passed over; none that can is a 503", async () => {
  const id = await createWith("resilient", "fast")
  await copy(id, { stores: ["file"] })
  await ended(id)
  const { fast: inFast, main } = await filesOf(id)
  await rm(join(fast, "store", inFast[0] ?? ""))
  assert.equal(await download(id), "resilient")
  await rm(join(cloud.platform.config.dataDir, "image/store", main[0] ?? ""))
  assert.equal((await request("GET", `${images}/${id}/file`)).status, 503)
})
