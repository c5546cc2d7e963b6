import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import { type DbOrTx, jsonb, type Tx } from "../../platform/db/database.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { everybody } from "../image/image.ts"
import { type Task, taskNoun } from "./task.ts"

export type NewTask = Pick<Task, "id" | "type" | "projectId" | "userId" | "requestId" | "imageId" | "input">

export async function insertTask(tx: Tx, task: NewTask, now: Date): Promise<Task> {
  return await tx
    .insertInto("image.task")
    .values({
      id: task.id,
      type: task.type,
      status: "pending",
      project_id: task.projectId,
      user_id: task.userId,
      request_id: task.requestId,
      image_id: task.imageId,
      input: jsonb(task.input),
      created_at: now,
      updated_at: now,
    })
    .returning(fieldsOf(taskNoun, everybody))
    .$castTo<Task>()
    .executeTakeFirstOrThrow()
}

/** pending → processing; nothing when it is further already. */
export async function beginTask(db: DbOrTx, id: string, now: Date): Promise<void> {
  await db
    .updateTable("image.task")
    .set({ status: "processing", generation: sql`generation + 1`, updated_at: now })
    .where("id", "=", id)
    .where("status", "=", "pending")
    .execute()
}

/** How far it is. */
export async function noteTask(db: DbOrTx, id: string, message: string, now: Date): Promise<void> {
  await db
    .updateTable("image.task")
    .set({ message, updated_at: now })
    .where("id", "=", id)
    .where("status", "=", "processing")
    .execute()
}

/** Ends a task that has not ended yet. */
export async function endTask(
  db: DbOrTx,
  platform: Pick<Platform, "clock" | "config">,
  id: string,
  end: { status: "success"; result: Record<string, unknown> | null } | { status: "failure"; message: string },
): Promise<void> {
  const now = platform.clock.now()
  await db
    .updateTable("image.task")
    .set({
      status: end.status,
      ...(end.status === "success"
        ? { result: end.result === null ? null : jsonb(end.result) }
        : { message: end.message.slice(0, 2000) }),
      expires_at: new Date(now.getTime() + platform.config.image.taskKeepMs),
      generation: sql`generation + 1`,
      updated_at: now,
    })
    .where("id", "=", id)
    .where("status", "in", ["pending", "processing"])
    .execute()
}

export async function removeExpiredTasks(db: DbOrTx, now: Date): Promise<number> {
  const done = await db.deleteFrom("image.task").where("expires_at", "<", now).executeTakeFirst()
  return Number(done.numDeletedRows)
}
