import assert from "node:assert/strict"
import { mkdir, readdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startServices } from "../../../test/service-cloud.ts"
import { sagaHarness } from "../../engine/saga/harness.ts"
import { jsonb, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { fileName, storePaths } from "../data/paths.ts"
import { findImage } from "../image/store.ts"
import { createImage } from "../index.ts"
import { insertTask } from "../task/store.ts"
import { type ImportParams, importSaga } from "./import.saga.ts"

sagaHarness<ImportParams>(
  importSaga,
  async () => {
    const cloud = await startServices({ services: [createImage()], apis: [] })
    const { platform } = cloud
    const { db, clock } = platform
    const paths = storePaths(platform)
    const filesOf = async (file: string) => {
      const lists = await Promise.all([paths.tmp, paths.store, paths.staging].map((dir) => readdir(dir)))
      return lists.map((names) => names.includes(file))
    }
    const statusOf = async (taskId: string) =>
      (await db.selectFrom("image.task").selectAll().where("id", "=", taskId).executeTakeFirstOrThrow())
        .status
    return {
      platform,
      saga: importSaga,
      arrange: async (): Promise<ImportParams> => {
        const [imageId, taskId, now] = [newUuid(), newUuid(), clock.now()]
        const file = fileName(imageId, newUuid())
        await mkdir(paths.staging, { recursive: true })
        await writeFile(join(paths.staging, file), "staged data")
        await transact(db, async (tx) => {
          await tx
            .insertInto("image.image")
            .values({
              id: imageId,
              project_id: "p1",
              status: "importing",
              visibility: "private",
              disk_format: "raw",
              container_format: "bare",
              properties: jsonb({ os_glance_import_task: taskId }),
              staged_file: file,
              created_at: now,
              updated_at: now,
            })
            .execute()
          const task = { id: taskId, type: "api_image_import" as const, imageId, input: {} }
          await insertTask(tx, { ...task, projectId: "p1", userId: null, requestId: null }, now)
        })
        const source = { method: "glance-direct" as const }
        return { imageId, taskId, file, source, limitBytes: 1000, isImageOwn: false }
      },
      assertDone: async ({ imageId, taskId, file }) => {
        const image = await findImage(db, imageId)
        assert.equal(image?.status, "active")
        assert.equal(image?.sizeBytes, 11)
        assert.equal(image?.properties.os_glance_import_task, undefined)
        assert.deepEqual(await filesOf(file), [false, true, false])
        assert.equal(await statusOf(taskId), "success")
      },
      assertUnwound: async ({ imageId, taskId, file }) => {
        const image = await findImage(db, imageId)
        assert.equal(image?.status, "queued")
        assert.equal(image?.sizeBytes, null)
        assert.equal(image?.properties.os_glance_failed_import, "file")
        assert.deepEqual(await filesOf(file), [false, false, false])
        assert.equal(await statusOf(taskId), "failure")
      },
      [Symbol.asyncDispose]: () => cloud[Symbol.asyncDispose](),
    }
  },
  { pointOfNoReturn: "activate" },
)
