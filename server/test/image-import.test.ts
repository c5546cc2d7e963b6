import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { readdir } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { importSaga } from "../src/image/import/import.saga.ts"
import { findBootableImage, importImage } from "../src/image/index.ts"
import { imageService } from "../src/image/service.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { transact } from "../src/platform/db/database.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { capturing } from "./saga-case.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
let web: Server
let webUrl: string
before(async () => {
  web = createServer((request, response) => {
    if (request.url === "/disk") response.end("data from the web")
    else if (request.url === "/moved") response.writeHead(302, { location: "/disk" }).end()
    else if (request.url === "/away") response.writeHead(302, { location: "http://127.0.0.2/" }).end()
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve))
  const { port } = web.address() as AddressInfo
  webUrl = `http://127.0.0.1:${port}`
  cloud = await startServices({
    services: [imageService],
    overrides: { "image.webDownloadCidrs": ["127.0.0.1/32"], "image.webDownloadPorts": [80, port] },
  })
})
after(async () => {
  web.close()
  await cloud[Symbol.asyncDispose]()
})

const images = "/image/v2/images"

async function create(attributes: Record<string, unknown> = {}): Promise<string> {
  const body = { name: "i", disk_format: "raw", container_format: "bare", ...attributes }
  return (await cloud.request("POST", images, { as: "p1", body })).body.id
}

const show = async (id: string) => (await cloud.request("GET", `${images}/${id}`, { as: "p1" })).body

const startImport = (id: string, method: Record<string, unknown>, extra = {}) =>
  cloud.request("POST", `${images}/${id}/import`, { as: "p1", body: { method, ...extra } })

const tasksOf = async (id: string) =>
  (await cloud.request("GET", `${images}/${id}/tasks`, { as: "p1" })).body.tasks

const stage = (id: string, text: string) =>
  cloud.request("PUT", `${images}/${id}/stage`, { as: "p1", body: Buffer.from(text) })

async function filesIn(dir: string): Promise<string[]> {
  return await readdir(join(cloud.platform.config.dataDir, "image", dir))
}

describe("glance-direct", () => {
  test("staged data become the image", async () => {
    const id = await create()
    assert.equal((await startImport(id, { name: "glance-direct" })).status, 409, "nothing is staged")
    assert.equal((await stage(id, "staged")).status, 204)
    assert.equal((await show(id)).status, "uploading")
    assert.equal((await stage(id, "again")).status, 409)
    const started = await startImport(id, { name: "glance-direct" }, { all_stores: true })
    assert.equal(started.status, 202)
    const image = await eventually("the image", async () => {
      const now = await show(id)
      return now.status === "active" && now
    })
    assert.equal(image.checksum, createHash("md5").update("staged").digest("hex"))
    assert.equal(image.os_glance_importing_to_stores, "")
    assert.equal(image.os_glance_import_task, undefined)
    const [task] = await tasksOf(id)
    assert.equal(task.status, "success")
    assert.equal(task.request_id, started.headers.get("x-openstack-request-id"))
    assert.equal(task.input.import_req.method.name, "glance-direct")
    assert.deepEqual(
      (await filesIn("staging")).filter((f) => f.startsWith(id)),
      [],
    )
  })

  test("an image with staged data can be deleted", async () => {
    const id = await create()
    await stage(id, "staged")
    assert.equal((await cloud.request("DELETE", `${images}/${id}`, { as: "p1" })).status, 204)
    assert.deepEqual(
      (await filesIn("staging")).filter((f) => f.startsWith(id)),
      [],
    )
  })
})

describe("web-download", () => {
  const download = (id: string, uri: string) => startImport(id, { name: "web-download", uri })
  const failed = async (id: string) =>
    await eventually("the task to fail", async () => {
      const [task] = await tasksOf(id)
      return task.status === "failure" && task
    })

  test("brings data, also behind a redirect", async () => {
    for (const path of ["/disk", "/moved"]) {
      const id = await create()
      assert.equal((await download(id, webUrl + path)).status, 202)
      await eventually("the image", async () => (await show(id)).status === "active")
      const { bytes } = await cloud.request("GET", `${images}/${id}/file`, { as: "p1" })
      assert.equal(bytes.toString(), "data from the web")
    }
  })

  test("asks only the hosts that it may ask, and leaves the image queued when it fails", async () => {
    for (const uri of [
      "http://does-not.exist/x",
      `${webUrl}/away`,
      `${webUrl}/missing`,
      "http://169.254.169.254/",
      "http://10.0.0.1/",
      "http://[::1]/",
      `${webUrl.replace(/\d+$/, "22")}/disk`,
      webUrl.replace("http://", "http://user:secret@"),
    ]) {
      const id = await create()
      assert.equal((await download(id, uri)).status, 202)
      const task = await failed(id)
      assert.match(task.message, /cannot be read from/)
      const image = await show(id)
      assert.equal(image.status, "queued")
      assert.equal(image.os_glance_failed_import, "file")
      assert.deepEqual(
        (await filesIn("staging")).filter((f) => f.startsWith(id)),
        [],
      )
    }
  })

  test("asks nothing that is not public unless the operator says so", async () => {
    await using closed = await startServices({ services: [imageService] })
    const ask = (method: string, path: string, body?: unknown) =>
      closed.request(method, `${images}${path}`, { as: "p1", body })
    const { id } = (await ask("POST", "", { disk_format: "raw", container_format: "bare" })).body
    const method = { name: "web-download", uri: "http://127.0.0.1/disk" }
    assert.equal((await ask("POST", `/${id}/import`, { method })).status, 202)
    const message = await eventually("the task to fail", async () => {
      const [task] = (await ask("GET", `/${id}/tasks`)).body.tasks
      return task.status === "failure" && task.message
    })
    assert.match(message, /host 127\.0\.0\.1 has no public address, and none that the operator allows/)
    assert.equal((await ask("GET", `/${id}`)).body.status, "queued")
  })

  test("refuses what is no address at once, and a second import of an image", async () => {
    const id = await create()
    assert.equal((await download(id, "file:///etc/passwd")).status, 400)
    assert.equal((await startImport(id, { name: "web-download" })).status, 400)
    assert.equal((await startImport(id, { name: "no-such-method" })).status, 400)
    assert.equal((await startImport(id, {})).status, 400)
    const replies = await Promise.all([download(id, `${webUrl}/disk`), download(id, `${webUrl}/disk`)])
    assert.deepEqual(replies.map((r) => r.status).sort(), [202, 409])
    await eventually("the image", async () => (await show(id)).status === "active")
    assert.equal((await download(id, `${webUrl}/disk`)).status, 409)
  })

  test("an image that is deleted on the way stays deleted", async () => {
    const id = await create()
    await download(id, `${webUrl}/disk`)
    await cloud.request("DELETE", `${images}/${id}`, { as: "p1" })
    await cloud.sagas.whenIdle()
    assert.equal((await cloud.request("GET", `${images}/${id}`, { as: "p1" })).status, 404)
    for (const dir of ["store", "staging", "tmp"])
      assert.deepEqual(
        (await filesIn(dir)).filter((f) => f.startsWith(id)),
        [],
      )
  })
})

describe("glance-download", () => {
  test("copies another image of this cloud with what says how to run it", async () => {
    const source = await create({ hw_cpu_cores: "5", os_distro: "debian", speed: "88" })
    await cloud.request("PUT", `${images}/${source}/file`, { as: "p1", body: Buffer.from("other") })
    const id = await create({ disk_format: "iso", container_format: "ovf", hw_cpu_cores: "1" })
    const method = { name: "glance-download", glance_image_id: source, glance_region: "RegionOne" }
    assert.equal((await startImport(id, method)).status, 202)
    const image = await eventually("the copy", async () => {
      const now = await show(id)
      return now.status === "active" && now
    })
    assert.equal(image.disk_format, "raw")
    assert.equal(image.container_format, "bare")
    assert.equal(image.hw_cpu_cores, "5")
    assert.equal(image.os_distro, "debian")
    assert.equal(image.speed, undefined)
  })

  test("copies nothing that its caller may not have, now or when it comes to it", async () => {
    const source = await create()
    await cloud.request("PUT", `${images}/${source}/file`, { as: "p1", body: Buffer.from("not for all") })
    const name = "glance-download" as const
    const method = { name, glance_image_id: source, glance_region: "RegionOne" }
    const why = async (id: string) =>
      await eventually("the task to fail", async () => {
        const [task] = await tasksOf(id)
        return task?.status === "failure" && task.message
      })
    const late = await create()
    const { ctx, started } = capturing(cloud.platform, cloud.ctx("p1").caller)
    await importImage(ctx, {
      ...{ imageId: late, stores: null, isAllStores: false, mustAllSucceed: true, request: {} },
      method: { name, sourceImageId: source, region: "RegionOne", interface: "public" },
    })
    await cloud.request("POST", `${images}/${source}/actions/deactivate`, { as: "p1" })
    await transact(cloud.platform.db, (tx) => cloud.platform.sagas.start(tx, importSaga, started[0], {}))
    assert.match(await why(late), /deactivated/)
    const id = await create()
    assert.equal((await startImport(id, method)).status, 202)
    assert.match(await why(id), /deactivated/)
    await cloud.request("POST", `${images}/${source}/actions/reactivate`, { as: "p1" })
    cloud.platform.policy.override({ download_image: "role:admin" })
    const refused = await create()
    assert.equal((await startImport(refused, method)).status, 202)
    assert.match(await why(refused), /download_image/)
    await assert.rejects(findBootableImage(cloud.ctx("p1"), source), /download_image/)
    cloud.platform.policy.override({})
  })

  test("says in its task what is wrong with the other side", async () => {
    for (const change of [{ glance_image_id: newUuid() }, { glance_region: "nowhere" }]) {
      const id = await create()
      const base = { name: "glance-download", glance_image_id: newUuid(), glance_region: "RegionOne" }
      assert.equal((await startImport(id, { ...base, ...change })).status, 202)
      await eventually("the task to fail", async () => (await tasksOf(id))[0].status === "failure")
      assert.equal((await show(id)).status, "queued")
    }
    const id = await create()
    const bad = { name: "glance-download", glance_image_id: "foo", glance_region: "RegionOne" }
    const reply = await startImport(id, bad)
    assert.equal(reply.status, 400)
    assert.match(reply.body.message, /does not look like a UUID/)
  })
})

describe("tasks", () => {
  const as = "admin:admin"
  const createTask = (uri: string) =>
    cloud.request("POST", "/image/v2/tasks", {
      as,
      body: {
        type: "import",
        input: {
          import_from: uri,
          import_from_format: "raw",
          image_properties: {
            name: "by-task",
            disk_format: "raw",
            container_format: "bare",
            visibility: "public",
          },
        },
      },
    })
  const ended = async (id: string) =>
    await eventually("the task to end", async () => {
      const { body } = await cloud.request("GET", `/image/v2/tasks/${id}`, { as })
      return (body.status === "success" || body.status === "failure") && body
    })

  test("an import makes its image, or leaves none", async () => {
    const made = await createTask(`${webUrl}/disk`)
    assert.equal(made.status, 201)
    const done = await ended(made.body.id)
    assert.equal(done.status, "success")
    assert.equal((await show(done.result.image_id)).status, "active")
    const failed = await ended((await createTask("http://nowhere.example/x")).body.id)
    assert.equal(failed.status, "failure")
    // The task ends in the step that fails; what it made is undone right after.
    await eventually("only the good one to be left", async () => {
      const { body } = await cloud.request("GET", `${images}?name=by-task`, { as })
      return body.images.length === 1
    })
  })

  test("cannot be deleted, nor data taken from the only store", async () => {
    const { body } = await cloud.request("GET", "/image/v2/tasks", { as })
    const gone = await cloud.request("DELETE", `/image/v2/tasks/${body.tasks[0].id}`, { as })
    assert.equal(gone.status, 405)
    assert.equal(gone.headers.get("allow"), "GET")
    const list = await cloud.request("GET", `${images}?name=by-task`, { as })
    const { id } = list.body.images[0]
    const remove = (store: string, who = as) =>
      cloud.request("DELETE", `/image/v2/stores/${store}/${id}`, { as: who })
    assert.equal((await remove("file")).status, 403)
    assert.equal((await remove("other")).status, 409)
    assert.equal((await remove("file", "p1")).status, 403)
  })

  test("are for administrators, in pages", async () => {
    assert.equal((await cloud.request("GET", "/image/v2/tasks", { as: "p1" })).status, 403)
    const first = await cloud.request("GET", "/image/v2/tasks?limit=2", { as })
    assert.equal(first.body.tasks.length, 2)
    const next = await cloud.request("GET", `/image${first.body.next}`, { as })
    assert.equal(next.body.tasks.length, 2)
    const ids = [...first.body.tasks, ...next.body.tasks].map((t: { id: string }) => t.id)
    assert.equal(new Set(ids).size, 4)
    assert.equal((await cloud.request("GET", "/image/v2/tasks?marker=x", { as })).status, 400)
    assert.equal((await cloud.request("GET", `/image/v2/tasks/${newUuid()}`, { as })).status, 404)
  })
})
