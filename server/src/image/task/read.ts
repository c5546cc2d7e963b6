// The tasks API: administrators watch long work.
import { sql } from "kysely"
import { Type } from "typebox"
import { pageClauses, type SortColumns } from "../../platform/db/page.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { imageNotFound, taskNotFound } from "../faults.ts"
import { imageTarget, isAdmin, isImageId, visibleImage } from "../image/store.ts"
import { toTask } from "./store.ts"
import type { Task } from "./task.ts"

/** Everything that was ever done to an image by an import. */
export const listImageTasks = operation({
  name: "image.task.list_of_image",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "get_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, { imageId }): Promise<Task[]> => {
    const rows = await ctx.db
      .selectFrom("image.task")
      .selectAll()
      .where("image_id", "=", imageId)
      .orderBy("created_at")
      .orderBy("id")
      .execute()
    return rows.map(toTask)
  },
})

export const showTask = operation({
  name: "image.task.show",
  input: Type.Object({ taskId: Type.String() }),
  faults: [taskNotFound],
  rules: ["tasks_api_access", "get_task"],
  authorize: () => [
    ["tasks_api_access", {}],
    ["get_task", {}],
  ],
  run: async (ctx, { taskId }): Promise<Task> => {
    if (!isImageId(taskId)) throw taskNotFound(taskId)
    const row = await ctx.db.selectFrom("image.task").selectAll().where("id", "=", taskId).executeTakeFirst()
    // A policy may let others in; what they see is their project's.
    if (!row || !(isAdmin(ctx) || row.project_id === ctx.caller.projectId)) throw taskNotFound(taskId)
    return toTask(row)
  },
})

const sortColumns: SortColumns = {
  created_at: { column: sql`t.created_at` },
  updated_at: { column: sql`t.updated_at` },
  expires_at: { column: sql`t.expires_at`, isNullable: true },
  status: { column: sql`t.status` },
  type: { column: sql`t.type` },
  id: { column: sql`t.id` },
}

export const taskSortKeys: readonly string[] = Object.keys(sortColumns)

export const listTasks = operation({
  name: "image.task.list",
  input: Type.Object({
    status: Type.Union([Type.String(), Type.Null()]),
    type: Type.Union([Type.String(), Type.Null()]),
    limit: Type.Integer({ minimum: 0 }),
    marker: Type.Union([Type.String(), Type.Null()]),
    sortKey: Type.String(),
    direction: Type.Union([Type.Literal("asc"), Type.Literal("desc")]),
  }),
  rules: ["tasks_api_access", "get_tasks"],
  authorize: () => [
    ["tasks_api_access", {}],
    ["get_tasks", {}],
  ],
  run: async (ctx, input): Promise<{ tasks: Task[]; nextMarker: string | null }> => {
    const mine = isAdmin(ctx) ? sql`true` : sql`t.project_id = ${ctx.caller.projectId}`
    let marker: Record<string, unknown> | null = null
    if (input.marker !== null) {
      const found = isImageId(input.marker)
        ? await sql<Record<string, unknown>>`
            select t.* from image.task t where t.id = ${input.marker} and ${mine}`.execute(ctx.db)
        : undefined
      marker = found?.rows[0] ?? null
      if (!marker)
        throw invalid("marker", `Invalid marker: there is no task ${JSON.stringify(input.marker)}.`)
    }
    const sorts = [{ key: input.sortKey, direction: input.direction }]
    const page = pageClauses({ sorts, isReverse: false }, sortColumns, "id", marker)
    const rows = await sql<Parameters<typeof toTask>[0]>`
      select t.* from image.task t where ${mine}
        and (t.expires_at is null or t.expires_at > ${ctx.clock.now()})
        and (${input.status}::text is null or t.status = ${input.status})
        and (${input.type}::text is null or t.type = ${input.type})
        and ${page.where}
      order by ${page.orderBy} limit ${input.limit}`.execute(ctx.db)
    const tasks = rows.rows.map(toTask)
    return { tasks, nextMarker: tasks.length === input.limit ? (tasks.at(-1)?.id ?? null) : null }
  },
})
