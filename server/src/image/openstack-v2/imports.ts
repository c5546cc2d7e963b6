import { type Static, Type } from "typebox"
import { secondsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { queryText } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import { object } from "../../platform/schema/make.ts"
import {
  createImportTask,
  getTask,
  importImage,
  importMethods,
  listImageTasks,
  listTasks,
  type Task,
  taskNotFound,
  taskNoun,
  taskStatuses,
} from "../index.ts"
import { taskNotDeletable } from "./faults.ts"
import { imageBody } from "./image-schema.ts"
import { badMarker, pageLinks, readGlancePage } from "./page.ts"
import { told } from "./told.ts"

const text = Type.String()

const importBody = object(
  {
    method: object(
      {
        name: text,
        uri: text,
        glance_image_id: text,
        glance_region: text,
        glance_service_interface: text,
      },
      ["name"],
    ),
    stores: Type.Array(text),
    all_stores: Type.Boolean(),
    all_stores_must_succeed: Type.Boolean(),
  },
  ["method"],
)
type ImportBody = Static<typeof importBody>

const imported = { import_from: text, import_from_format: text, image_properties: imageBody }
const taskBody = object({ type: text, input: object(imported, ["import_from", "image_properties"]) }, [
  "type",
  "input",
])

const taskEnd = route({
  method: "DELETE",
  path: "/tasks/{task_id}",
  operation: getTask,
  handler: async (ctx, req) => {
    // Who may not know of it is told so first.
    await getTask(ctx, { taskId: req.params.task_id ?? "" })
    throw taskNotDeletable()
  },
})

export const importRoutes: Route[] = [
  taskEnd,
  route({
    method: "POST",
    path: "/images/{image_id}/import",
    operation: importImage,
    status: 202,
    body: importBody,
    handler: startImport,
  }),
  route({
    method: "GET",
    path: "/images/{image_id}/tasks",
    operation: listImageTasks,
    told: told.tasksOfImage,
    handler: async (ctx, req) => ({
      tasks: (await listImageTasks(ctx, { imageId: req.params.image_id ?? "" })).map(viewTaskOfImage),
    }),
  }),
  route({
    method: "POST",
    path: "/tasks",
    operation: createImportTask,
    told: told.task,
    body: taskBody,
    handler: async (ctx, req) => {
      if (req.body.type !== "import")
        throw invalid("type", `Tasks of type '${req.body.type}' cannot be created; use 'import'.`)
      const task = await createImportTask(ctx, { input: req.body.input })
      return withHeaders(viewTask(task), { location: `${ctx.baseUrl}/image/v2/tasks/${task.id}` })
    },
  }),
  route({ method: "GET", path: "/tasks", operation: listTasks, told: told.tasks, handler: list }),
  route({
    method: "GET",
    path: "/tasks/{task_id}",
    operation: getTask,
    told: told.task,
    handler: async (ctx, req) => viewTask(await getTask(ctx, { taskId: req.params.task_id ?? "" })),
  }),
]

async function startImport(ctx: Ctx, req: WireRequest<ImportBody>): Promise<void> {
  const { body } = req
  const header = req.headers["x-image-meta-store"]
  if (body.all_stores === true && (body.stores || header))
    throw invalid(
      "stores",
      "All_stores parameter can't be used with x-image-meta-store header or stores parameter",
    )
  if (body.stores && header)
    throw invalid("stores", "Stores parameter and x-image-meta-store header can't be both specified")
  await importImage(ctx, {
    imageId: req.params.image_id ?? "",
    method: readMethod(body.method),
    stores: body.stores ?? (header ? [header].flat() : null),
    isAllStores: body.all_stores ?? false,
    mustAllSucceed: body.all_stores_must_succeed ?? true,
    request: { ...body },
  })
}

function readMethod(method: ImportBody["method"]) {
  const name = importMethods.find((m) => m === method.name)
  switch (name) {
    case undefined:
      throw invalid(
        "name",
        `Unknown import method name '${method.name}'. Methods are ${importMethods.join(", ")}.`,
      )
    case "glance-direct":
    case "copy-image":
      return { name }
    case "web-download":
      return { name, uri: method.uri ?? "" }
    case "glance-download": {
      const { glance_image_id: sourceImageId, glance_region: region } = method
      if (region === undefined)
        throw invalid("glance_region", "'glance_region' needs to be set for glance-download import method")
      if (sourceImageId === undefined)
        throw invalid(
          "glance_image_id",
          "'glance_image_id' needs to be set for glance-download import method",
        )
      return { name, sourceImageId, region, interface: method.glance_service_interface ?? "public" }
    }
  }
}

const statuses: readonly string[] = taskStatuses

async function list(ctx: Ctx, req: WireRequest): Promise<unknown> {
  const status = queryText(req.query, "status")
  if (status !== undefined && !statuses.includes(status))
    throw invalid("status", `Invalid status value: ${status}`)
  const type = queryText(req.query, "type")
  if (type !== undefined && type !== "import") throw invalid("type", `Invalid type value: ${type}`)
  const page = readGlancePage(ctx, req, taskNoun.fields)
  const filters = { ...(status && { status: [status] }), ...(type && { type: [type] }) }
  const { items, read } = await listTasks(ctx, { filters, page }).catch((error: unknown) => {
    // In a list it is the marker that names nothing.
    throw taskNotFound.is(error) ? badMarker("task", page.marker) : error
  })
  return {
    tasks: items.map(viewTaskStub),
    schema: "/v2/schemas/tasks",
    ...pageLinks(req, "/v2/tasks", page, read),
  }
}

function viewTaskStub(task: Task): Record<string, unknown> {
  return {
    id: task.id,
    type: task.type,
    status: task.status,
    owner: task.projectId,
    created_at: secondsText(task.createdAt),
    updated_at: secondsText(task.updatedAt),
    ...(task.expiresAt ? { expires_at: secondsText(task.expiresAt) } : {}),
    self: `/v2/tasks/${task.id}`,
    schema: "/v2/schemas/task",
  }
}

function viewTask(task: Task): Record<string, unknown> {
  return {
    ...viewTaskStub(task),
    input: task.input,
    result: task.result,
    message: task.message,
    ...(task.imageId ? { image_id: task.imageId } : {}),
    ...(task.requestId ? { request_id: task.requestId } : {}),
    ...(task.userId ? { user_id: task.userId } : {}),
  }
}

/** Another shape: this list shows rows as they are. */
function viewTaskOfImage(task: Task): Record<string, unknown> {
  const rowTime = (time: Date) => `${time.toISOString().slice(0, 19)}.000000`
  return {
    id: task.id,
    image_id: task.imageId,
    request_id: task.requestId,
    user_id: task.userId,
    type: task.type,
    status: task.status,
    owner: task.projectId,
    expires_at: task.expiresAt ? rowTime(task.expiresAt) : null,
    created_at: rowTime(task.createdAt),
    updated_at: rowTime(task.updatedAt),
    deleted_at: null,
    deleted: false,
    input: task.input,
    result: task.result,
    message: task.message,
  }
}
