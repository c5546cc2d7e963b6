// An attachment: who has a volume, or is about to get it. One at a time for each volume, unless its type lets
// several have it at once.
import { sql } from "kysely"
import { boolean, nullable, text, time, uuid, word } from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { attachmentNotFound } from "../faults.ts"
import { type Viewer, visibleTo } from "../viewer.ts"

export const attachmentStatuses = ["reserved", "attaching", "attached", "detaching"] as const
export type AttachmentStatus = (typeof attachmentStatuses)[number]

const at = (column: string) => sql`${sql.ref(`attachment.${column}`)}`

export const attachmentNoun = noun({
  name: "block_storage.attachment",
  table: sql`block_storage.attachment`,
  alias: "attachment",
  fields: {
    id: uuid(at("id"), { filter: true, sort: true }),
    volumeId: uuid(at("volume_id"), { filter: true }),
    projectId: text(at("project_id"), { filter: true }),
    serverId: nullable(text(at("server_id"), { name: "instance_id", filter: true })),
    /** It was made for a server of the compute service, which alone may end it. */
    isOfServer: boolean(at("is_of_server"), { internal: true }),
    /** Others may have the volume at the same time. */
    isShared: boolean(at("is_shared"), { internal: true }),
    host: nullable(text(at("host"), { internal: true })),
    device: nullable(text(at("device"))),
    mode: word(["rw", "ro"], at("mode")),
    status: word(attachmentStatuses, at("status"), { filter: true }),
    /** It is known how the volume is reached; in which way is its holder's affair. */
    isConnected: boolean(sql`(${at("connector")} is not null)`, { internal: true }),
    /** By iSCSI, from this cloud. */
    isGiven: boolean(
      sql`coalesce((select not ${at("is_of_server")} from block_storage.connection c
        where c.volume_id = ${at("volume_id")} and c.initiator is not null limit 1), false)`,
      { internal: true },
    ),
    createdAt: time(at("created_at"), { sort: true }),
    attachedAt: nullable(time(at("attached_at"))),
  },
  visible: (viewer: Viewer) => visibleTo(viewer, at("project_id")),
  notFound: attachmentNotFound,
})

export type Attachment = Thing<typeof attachmentNoun>
