import assert from "node:assert/strict"
import { once } from "node:events"
import { readdir } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import { join } from "node:path"
import { callerOf, capturing, type SagaCaseEntry } from "../../../test/saga-case.ts"
import type { ServerCloud } from "../../../test/server-cloud.ts"
import type { Config } from "../../platform/config/config.ts"
import { addLocation, cacheImage, importImage, noteCacheHosts, uncacheImage } from "../index.ts"

const importCase: SagaCaseEntry = {
  pointOfNoReturn: "activate",
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const caller = await callerOf(c)
    const made = await c.cloud.request("POST", "/image/v2/images", {
      token: c.demo,
      body: { name: "i", disk_format: "raw", container_format: "bare" },
    })
    const imageId: string = made.body.id
    const staged = await fetch(`${c.cloud.baseUrl}/image/v2/images/${imageId}/stage`, {
      method: "PUT",
      headers: { "x-auth-token": c.demo, "content-type": "application/octet-stream" },
      body: "staged data",
    })
    assert.equal(staged.status, 204)
    const { ctx, started } = capturing(platform, caller)
    const task = await importImage(ctx, {
      imageId,
      method: { name: "glance-direct" },
      stores: null,
      isAllStores: false,
      mustAllSucceed: true,
      request: {},
    })
    assert.ok(task)
    const check = async (image: object, status: string) => {
      const row = await platform.db
        .selectFrom("image.image")
        .select(["status", "size_bytes", "staged_file"])
        .where("id", "=", imageId)
        .executeTakeFirst()
      assert.deepEqual(row, { ...image, staged_file: null })
      const ended = await platform.db
        .selectFrom("image.task")
        .select("status")
        .where("id", "=", task.id)
        .executeTakeFirst()
      assert.equal(ended?.status, status)
    }
    return {
      params: started[0],
      assertDone: () => check({ status: "active", size_bytes: 11 }, "success"),
      assertUnwound: () => check({ status: "queued", size_bytes: null }, "failure"),
    }
  },
}

const copyCase: SagaCaseEntry = {
  pointOfNoReturn: "end",
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const imageId = await activeImage(c, "data to copy")
    const caller = { ...(await callerOf(c)), roles: ["admin"] }
    const { ctx, started } = capturing(platform, caller)
    const task = await importImage(ctx, {
      imageId,
      method: { name: "copy-image" },
      stores: ["second"],
      isAllStores: false,
      mustAllSucceed: true,
      request: {},
    })
    assert.ok(task)
    const check = async (stores: string[], status: string) => {
      const { db } = platform
      const places = await db
        .selectFrom("image.location")
        .select("store")
        .where("image_id", "=", imageId)
        .orderBy("position")
        .execute()
      assert.deepEqual(
        places.map((place) => place.store),
        stores,
      )
      const row = await db
        .selectFrom("image.image")
        .select(["status", "staged_file", "properties"])
        .where("id", "=", imageId)
        .executeTakeFirstOrThrow()
      assert.deepEqual([row.status, row.staged_file], ["active", null])
      assert.equal(row.properties.os_glance_import_task, undefined)
      const ended = await db
        .selectFrom("image.task")
        .select("status")
        .where("id", "=", task.id)
        .executeTakeFirst()
      assert.equal(ended?.status, status)
      const { directory = "" } = platform.config.image.stores[0] ?? {}
      const files = await readdir(join(directory, "store")).catch(() => [])
      const own = files.filter((name) => name.startsWith(imageId))
      assert.equal(own.length, stores.length - 1, "a file for each place, and no other")
    }
    return {
      params: started[0],
      assertDone: () => check(["file", "second"], "success"),
      assertUnwound: () => check(["file"], "failure"),
    }
  },
}

/** The rows as the operation leaves them; its address is served by the case itself. */
const readCase: SagaCaseEntry = {
  pointOfNoReturn: "settle",
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const made = await c.cloud.request("POST", "/image/v2/images", {
      token: c.demo,
      body: { name: "i", disk_format: "raw", container_format: "bare" },
    })
    const imageId: string = made.body.id
    const { ctx, started } = capturing(platform, await callerOf(c))
    const task = await addLocation(ctx, { imageId, url: await webAddress(platform.config), claim: null })
    const check = async (image: object, status: string) => {
      const row = await platform.db
        .selectFrom("image.image")
        .select(["status", "size_bytes", "staged_file"])
        .where("id", "=", imageId)
        .executeTakeFirst()
      assert.deepEqual(row, { ...image, staged_file: null })
      const ended = await platform.db
        .selectFrom("image.task")
        .select("status")
        .where("id", "=", task.id)
        .executeTakeFirst()
      assert.equal(ended?.status, status)
      const left = await readdir(join(platform.config.dataDir, "image", "tmp"))
      assert.deepEqual(
        left.filter((name) => name.startsWith(imageId)),
        [],
      )
    }
    return {
      params: started[0],
      assertDone: () => check({ status: "active", size_bytes: webData.length }, "success"),
      assertUnwound: () => check({ status: "queued", size_bytes: null }, "failure"),
    }
  },
}

async function activeImage(c: ServerCloud, data: string): Promise<string> {
  const made = await c.cloud.request("POST", "/image/v2/images", {
    token: c.demo,
    body: { name: "i", disk_format: "raw", container_format: "bare" },
  })
  const put = await fetch(`${c.cloud.baseUrl}/image/v2/images/${made.body.id}/file`, {
    method: "PUT",
    headers: { "x-auth-token": c.demo, "content-type": "application/octet-stream" },
    body: data,
  })
  assert.equal(put.status, 204)
  return made.body.id
}

/** Simulated hosts keep no images: nothing is left, however it ends. */
function caseOfCache(begin: typeof cacheImage | typeof uncacheImage): SagaCaseEntry {
  return {
    arrange: async (c) => {
      const { platform } = c.cloud.cloud
      const imageId = await activeImage(c, "data for hosts")
      await noteCacheHosts(platform, [platform.config.host])
      const { ctx, started } = capturing(platform, { ...(await callerOf(c)), roles: ["admin"] })
      await begin(ctx, { imageId })
      const nothingIsQueued = async () => {
        const rows = platform.db
          .selectFrom("image.cache_queue")
          .select("host")
          .where("image_id", "=", imageId)
        assert.deepEqual(await rows.execute(), [])
      }
      return { params: started[0], assertDone: nothingIsQueued, assertUnwound: nothingIsQueued }
    },
  }
}

const webData = "data on the web"
let web: Server | undefined

/** Served as long as the process lives, at the port of this machine that images may be read from. */
async function webAddress({ image }: Config): Promise<string> {
  const [webPort = 80] = image.webDownloadPorts
  if (!web) {
    web = createServer((_request, response) => response.end(webData)).listen(webPort, "127.0.0.1")
    web.unref()
    await once(web, "listening")
  }
  return `http://127.0.0.1:${webPort}/disk`
}

export const sagaCases: Readonly<Record<string, SagaCaseEntry>> = {
  "image.image.copy": copyCase,
  "image.image.import": importCase,
  "image.cache.queue": caseOfCache(cacheImage),
  "image.cache.remove": caseOfCache(uncacheImage),
  "image.location.read": readCase,
}
