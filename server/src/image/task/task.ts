// Long work on an image, as its owner and administrators can watch it.
import { sql } from "kysely"
import { Type } from "typebox"
import { nullable, structure, text, time, uuid, word } from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { taskNotFound } from "../faults.ts"
import type { ImageViewer } from "../image/image.ts"

export const taskTypes = ["import", "api_image_import", "location_import"] as const
export type TaskType = (typeof taskTypes)[number]

export const taskStatuses = ["pending", "processing", "success", "failure"] as const
export type TaskStatus = (typeof taskStatuses)[number]

const Facts = Type.Record(Type.String(), Type.Unknown())
const listed = { filter: true, sort: true } as const

export const taskNoun = noun({
  name: "image.task",
  table: sql`image.task`,
  alias: "task",
  fields: {
    id: uuid(sql`task.id`, { sort: true }),
    type: word(taskTypes, sql`task.type`, listed),
    status: word(taskStatuses, sql`task.status`, listed),
    projectId: nullable(text(sql`task.project_id`, { name: "owner" })),
    userId: nullable(text(sql`task.user_id`)),
    requestId: nullable(text(sql`task.request_id`)),
    imageId: nullable(uuid(sql`task.image_id`, { filter: true })),
    input: structure(Facts, sql`task.input`),
    result: nullable(structure(Facts, sql`task.result`)),
    message: text(sql`task.message`),
    /** When it is forgotten; null while it runs. */
    expiresAt: nullable(time(sql`task.expires_at`, { sort: true })),
    createdAt: time(sql`task.created_at`, { sort: true }),
    updatedAt: time(sql`task.updated_at`, { sort: true }),
  },
  /** A policy may let others in than administrators; what they see is their project's. */
  visible: ({ projectId, seesAll }: ImageViewer) => {
    if (seesAll) return visibleToAll
    const own = sql<boolean>`task.project_id = ${projectId}`
    return { row: own, main: own, others: [] }
  },
  notFound: taskNotFound,
})

export type Task = Thing<typeof taskNoun>
