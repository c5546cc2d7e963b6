// A transfer: a project offers a volume, and whoever has been told its key takes it.
import { sql } from "kysely"
import { boolean, text, time, uuid } from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { transferNotFound } from "../faults.ts"
import { type Viewer, visibleTo } from "../viewer.ts"

const at = (column: string) => sql`${sql.ref(`transfer.${column}`)}`

export const transferNoun = noun({
  name: "block_storage.transfer",
  table: sql`block_storage.transfer`,
  alias: "transfer",
  fields: {
    id: uuid(at("id"), { filter: true, sort: true }),
    volumeId: uuid(at("volume_id"), { filter: true }),
    projectId: text(at("project_id"), { name: "source_project_id", filter: true }),
    name: text(at("name"), { create: true, filter: true, sort: true }),
    keepsSnapshots: boolean(at("keeps_snapshots"), { name: "no_snapshots" }),
    createdAt: time(at("created_at"), { sort: true }),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  visible: (viewer: Viewer) => visibleTo(viewer, at("project_id")),
  notFound: transferNotFound,
})

export type Transfer = Thing<typeof transferNoun>
