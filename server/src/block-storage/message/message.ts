// A message: why a task of a volume, or of what is made of volumes, failed, told to its users. Whoever made the request
// has had an answer long before.
import { sql } from "kysely"
import { filterOnly, text, time, uuid, word } from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { messageNotFound } from "../faults.ts"
import { type Viewer, visibleTo } from "../viewer.ts"

export const messageResources = [
  "VOLUME",
  "VOLUME_SNAPSHOT",
  "GROUP",
  "GROUP_SNAPSHOT",
  "VOLUME_BACKUP",
] as const

const at = (column: string) => sql`${sql.ref(`message.${column}`)}`

export const messageNoun = noun({
  name: "block_storage.message",
  table: sql`block_storage.message`,
  alias: "message",
  fields: {
    id: uuid(at("id"), { filter: true, sort: true }),
    projectId: text(at("project_id"), { internal: true, filter: true }),
    resourceType: word(messageResources, at("resource_type"), { filter: true }),
    resourceId: uuid(at("resource_id"), { name: "resource_uuid", filter: true }),
    eventId: text(at("event_id"), { filter: true }),
    /** Nothing else is told. */
    level: filterOnly(
      (asked) => (asked.includes("ERROR") ? sql<boolean>`true` : sql<boolean>`false`),
      "message_level",
    ),
    text: text(at("text"), { name: "user_message", max: 10_000 }),
    requestId: text(at("request_id"), { filter: true }),
    createdAt: time(at("created_at"), { sort: true }),
    expiresAt: time(at("expires_at"), { name: "guaranteed_until" }),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  visible: (viewer: Viewer) => visibleTo(viewer, at("project_id")),
  notFound: messageNotFound,
})

export type Message = Thing<typeof messageNoun>
