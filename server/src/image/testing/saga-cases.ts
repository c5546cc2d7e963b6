import assert from "node:assert/strict"
import { callerOf, capturing, type SagaCaseEntry } from "../../../test/saga-case.ts"
import { importImage } from "../index.ts"

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
      stores: [],
      request: {},
    })
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

export const sagaCases: Readonly<Record<string, SagaCaseEntry>> = {
  "image.image.import": importCase,
}
