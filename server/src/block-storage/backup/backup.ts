// A backup: what a volume or a snapshot was at one moment, kept away from the hosts, for when the volume is lost.
//
//   creating ──► available ──restore──► restoring ──► available
//       │            └──────delete────► deleting ──► gone
//       └──► error                          └──► error_deleting
import { sql } from "kysely"
import { Type } from "typebox"
import { boolean, integer, nullable, structure, text, time, uuid, word } from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { backupNotFound } from "../faults.ts"
import { type Viewer, visibleTo } from "../viewer.ts"

export const backupStatuses = [
  "creating",
  "available",
  "restoring",
  "deleting",
  "error",
  "error_deleting",
] as const
export type BackupStatus = (typeof backupStatuses)[number]

const textMap = Type.Record(Type.String({ maxLength: 255 }), Type.String({ maxLength: 255 }))

/** Of the volume, beside its data: what one made from the backup gets. */
export const VolumeFacts = Type.Object({
  metadata: textMap,
  imageMetadata: Type.Union([Type.Record(Type.String({ maxLength: 255 }), Type.String()), Type.Null()]),
  isBootable: Type.Boolean(),
  /** Its data are of use with their key alone. */
  isEncrypted: Type.Optional(Type.Literal(true)),
})
export type VolumeFacts = Type.Static<typeof VolumeFacts>

const at = (column: string) => sql`${sql.ref(`backup.${column}`)}`
const kept = { internal: true } as const

export const backupNoun = noun({
  name: "block_storage.backup",
  table: sql`block_storage.backup`,
  alias: "backup",
  fields: {
    id: uuid(at("id"), { filter: true, sort: true }),
    projectId: text(at("project_id"), { filter: true }),
    userId: text(at("user_id"), { filter: true }),
    name: nullable(text(at("name"), { create: true, update: true, filter: true, sort: true })),
    description: nullable(text(at("description"), { create: true, update: true, filter: true })),
    volumeId: uuid(at("volume_id"), { filter: true }),
    snapshotId: nullable(uuid(at("snapshot_id"), { filter: true })),
    parentId: nullable(uuid(at("parent_id"), kept)),
    dataId: nullable(uuid(at("data_id"), kept)),
    sizeGib: integer(at("size_gib"), { name: "size", filter: true, sort: true }),
    status: word(backupStatuses, at("status"), { filter: true, sort: true }),
    generation: integer(at("generation"), kept),
    container: text(at("container"), { filter: true }),
    availabilityZone: text(at("availability_zone"), { filter: true }),
    metadata: structure(textMap, at("metadata")),
    volumeFacts: structure(VolumeFacts, at("volume_facts"), kept),
    encryptionKeyId: nullable(
      uuid(sql`(select k.id from block_storage.backup_key k where k.backup_id = ${at("id")})`),
    ),
    objectCount: integer(
      sql`coalesce((select d.object_count from block_storage.backup_data d where d.id = ${at("data_id")}), 0)`,
    ),
    hasDependents: boolean(
      // No `exists`: PostgreSQL would rather read all backups once than look for one row of a page at a time.
      sql`coalesce((select true from block_storage.backup child where child.parent_id = ${at("id")} limit 1), false)`,
      { name: "has_dependent_backups" },
    ),
    dataAt: time(at("data_at"), { name: "data_timestamp" }),
    problem: nullable(text(at("problem"), { name: "fail_reason", max: 10_000 })),
    createdAt: time(at("created_at"), { sort: true }),
    updatedAt: nullable(time(at("updated_at"), { sort: true })),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  visible: (viewer: Viewer) => visibleTo(viewer, at("project_id")),
  notFound: backupNotFound,
})

export type Backup = Thing<typeof backupNoun>
