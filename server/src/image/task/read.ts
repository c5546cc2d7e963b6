// The tasks API: administrators watch long work.
import { sql } from "kysely"
import { Type } from "typebox"
import { ListQuery, listThings, loadThing } from "../../platform/noun/list.ts"
import { type Listed, listPage } from "../../platform/noun/page.ts"
import { operation } from "../../platform/operation/operation.ts"
import { imageNotFound, taskNotFound } from "../faults.ts"
import { everybody } from "../image/image.ts"
import { imageTarget, imageViewerOf, visibleImage } from "../image/store.ts"
import { type Task, taskNoun } from "./task.ts"

/** Everything that was done to an image by an import and is not forgotten yet. */
export const listImageTasks = operation({
  name: "image.task.list_of_image",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "get_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, { imageId }): Promise<Task[]> =>
    await listThings(ctx.db, taskNoun, everybody, { filters: { imageId: [imageId] } }),
})

export const getTask = operation({
  name: "image.task.get",
  input: Type.Object({ taskId: Type.String() }),
  faults: [taskNotFound],
  rules: ["tasks_api_access", "get_task"],
  authorize: () => [
    ["tasks_api_access", {}],
    ["get_task", {}],
  ],
  run: async (ctx, { taskId }) => await loadThing(ctx.db, taskNoun, imageViewerOf(ctx), taskId),
})

export const listTasks = operation({
  name: "image.task.list",
  input: ListQuery,
  faults: [taskNotFound],
  rules: ["tasks_api_access", "get_tasks"],
  authorize: () => [
    ["tasks_api_access", {}],
    ["get_tasks", {}],
  ],
  run: async (ctx, query): Promise<Listed<Task>> => {
    const also = [sql<boolean>`(task.expires_at is null or task.expires_at > ${ctx.clock.now()})`]
    return await listPage(ctx.db, taskNoun, imageViewerOf(ctx), { ...query, also })
  },
})
