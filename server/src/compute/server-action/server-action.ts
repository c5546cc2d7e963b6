// What users did to a server, and how each part of it went: Nova's instance actions and their events.
import { sql } from "kysely"
import { integer, nullable, text, time, uuid } from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { actionNotFound } from "../faults.ts"
import type {} from "../tables.ts"
import { ownRows } from "../viewer.ts"

const found = { filter: true } as const

const newestFirst = [
  { key: "startedAt", direction: "desc" },
  { key: "id", direction: "desc" },
] as const

export const serverActionNoun = noun({
  name: "compute.server_action",
  table: sql`compute.server_action`,
  alias: "a",
  order: newestFirst,
  fields: {
    id: integer(sql`a.id`),
    serverId: uuid(sql`a.server_id`),
    action: text(sql`a.action`),
    requestId: text(sql`a.request_id`, found),
    userId: nullable(text(sql`a.user_id`)),
    projectId: nullable(text(sql`a.project_id`)),
    message: nullable(text(sql`a.message`)),
    startedAt: time(sql`a.started_at`),
    finishedAt: nullable(time(sql`a.finished_at`)),
    updatedAt: time(sql`a.updated_at`, found),
  },
  visible: ({ serverId }: { serverId: string }) => ownRows(sql`a.server_id`, serverId),
  notFound: actionNotFound,
})

export type ServerAction = Thing<typeof serverActionNoun>

export const serverActionEventNoun = noun({
  name: "compute.server_action_event",
  table: sql`compute.server_action_event`,
  alias: "e",
  order: newestFirst,
  fields: {
    id: integer(sql`e.id`),
    event: text(sql`e.event`),
    host: nullable(text(sql`e.host`)),
    startedAt: time(sql`e.started_at`),
    finishedAt: nullable(time(sql`e.finished_at`)),
    result: nullable(text(sql`e.result`)),
    /** For users: why it failed. */
    details: nullable(text(sql`e.details`)),
    /** For operators. */
    traceback: nullable(text(sql`e.traceback`)),
  },
  visible: ({ actionId }: { actionId: number }) => ownRows(sql`e.action_id`, actionId),
  notFound: actionNotFound,
})

export type ServerActionEvent = Thing<typeof serverActionEventNoun>
