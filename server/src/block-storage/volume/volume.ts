// A volume: a disk that outlives the servers that have it.
import { sql } from "kysely"
import { Type } from "typebox"
import {
  boolean,
  filterOnly,
  integer,
  type Match,
  matched,
  nullable,
  onlyAsked,
  structure,
  text,
  time,
  uuid,
  word,
} from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { volumeNotFound } from "../faults.ts"
import { consistencyGroupType } from "../group-type/group-type.ts"
import { liesAt } from "../host-filter.ts"
import { hasAll } from "../metadata-filter.ts"
import { type Viewer, visibleTo } from "../viewer.ts"

/** Cinder's words, those of states that this service has, or that an administrator may set. */
export const volumeStatuses = [
  "creating",
  "available",
  "reserved",
  "attaching",
  "detaching",
  "in-use",
  "maintenance",
  "deleting",
  "awaiting-transfer",
  "error",
  "error_deleting",
  "error_extending",
  "uploading",
  "retyping",
  "extending",
  "reverting",
  "downloading",
  "managing",
  "error_managing",
  "unmanaging",
  "error_unmanaging",
  "backing-up",
  "restoring-backup",
  "error_backing-up",
  "error_restoring",
] as const
export type VolumeStatus = (typeof volumeStatuses)[number]

/** Cinder's words. */
export const migrationStatuses = ["starting", "migrating", "completing", "success", "error"] as const
export type MigrationStatus = (typeof migrationStatuses)[number]

export const VolumeAttachment = Type.Object({
  id: Type.String(),
  serverId: Type.Union([Type.String(), Type.Null()]),
  host: Type.Union([Type.String(), Type.Null()]),
  device: Type.Union([Type.String(), Type.Null()]),
  attachedAt: Type.Union([Type.String(), Type.Null()]),
})
export type VolumeAttachment = Type.Static<typeof VolumeAttachment>

const Metadata = Type.Record(Type.String(), Type.String())
const at = (column: string) => sql`${sql.ref(`volume.${column}`)}`
const kept = { internal: true } as const

/** Cinder's words are `attached` and `detached`. */
const isAttachedAs: Match = (asked) => {
  const [attached, detached] = [asked.includes("attached"), asked.includes("detached")]
  if (attached === detached) return attached ? sql<boolean>`true` : sql<boolean>`false`
  // No `exists`: PostgreSQL would rather read all attachments than look for those of a page.
  return sql<boolean>`coalesce((select true from block_storage.attachment a where a.volume_id = ${at("id")}
    and a.status in ('attached', 'detaching') limit 1), false) = ${attached}`
}

export const volumeNoun = noun({
  name: "block_storage.volume",
  table: sql`block_storage.volume`,
  alias: "volume",
  fields: {
    id: uuid(at("id"), { filter: true, sort: true }),
    projectId: text(at("project_id"), { filter: true }),
    userId: text(at("user_id"), { filter: true }),
    name: nullable(text(at("name"), { create: true, update: true, filter: true, sort: true })),
    description: nullable(text(at("description"), { create: true, update: true, filter: true })),
    sizeGib: integer(at("size_gib"), { name: "size", filter: true, sort: true }),
    status: word(volumeStatuses, at("status"), { filter: true, sort: true }),
    previousStatus: nullable(text(at("previous_status"), kept)),
    generation: integer(at("generation"), kept),
    volumeTypeId: nullable(uuid(at("volume_type_id"), { filter: true })),
    volumeTypeName: nullable(
      text(sql`(select t.name from block_storage.volume_type t where t.id = ${at("volume_type_id")})`),
    ),
    availabilityZone: text(at("availability_zone"), { filter: true, sort: true }),
    host: nullable(
      matched(text(at("host"), { filter: true, sort: true }), liesAt(at("host"), at("backend"))),
    ),
    backend: nullable(text(at("backend"), kept)),
    migrationStatus: nullable(
      word(migrationStatuses, at("migration_status"), { internal: true, filter: true }),
    ),
    /** Where it is going. */
    targetHost: nullable(text(at("target_host"), kept)),
    targetBackend: nullable(text(at("target_backend"), kept)),
    isBootable: boolean(at("is_bootable"), { name: "bootable", filter: true, sort: true }),
    /** Several servers may have it at once. */
    isMultiattach: boolean(at("is_multiattach"), { name: "multiattach", filter: true }),
    isReadOnly: nullable(boolean(at("is_read_only"), kept)),
    /** Null: it is not encrypted. */
    encryptionKeyId: nullable(
      uuid(sql`(select k.id from block_storage.volume_key k where k.volume_id = ${at("id")})`),
    ),
    metadata: structure(Metadata, at("metadata")),
    metadataHas: filterOnly(hasAll(at("metadata")), "metadata"),
    imageMetadata: nullable(structure(Metadata, at("image_metadata"))),
    imageMetadataHas: filterOnly(hasAll(at("image_metadata")), "glance_metadata"),
    imageId: nullable(uuid(at("image_id"), kept)),
    snapshotId: nullable(uuid(at("snapshot_id"), { filter: true })),
    sourceVolumeId: nullable(uuid(at("source_volume_id"), { name: "source_volid", filter: true })),
    groupId: nullable(uuid(at("group_id"), { filter: true })),
    /** The same, of one that the older calls have made. */
    consistencyGroupId: nullable(
      uuid(
        sql`(select g.id from block_storage.volume_group g join block_storage.group_type t on t.id = g.group_type_id
          where g.id = ${at("group_id")} and t.name = ${sql.lit(consistencyGroupType)})`,
        { name: "consistencygroup_id" },
      ),
    ),
    attachments: structure(
      Type.Array(VolumeAttachment),
      sql`array(select jsonb_build_object('id', a.id, 'serverId', a.server_id, 'host', a.host,
          'device', a.device, 'attachedAt', a.attached_at) from block_storage.attachment a
        where a.volume_id = ${at("id")} and a.status in ('attached', 'detaching'))`,
    ),
    attachStatus: filterOnly(isAttachedAs),
    /** No back end keeps a second copy elsewhere, so none has a status of it. */
    replicationStatus: filterOnly(() => sql<boolean>`false`),
    /** All do. */
    consumesQuota: onlyAsked(boolean(sql`true`, { filter: true })),
    problem: nullable(text(at("problem"), kept)),
    createdAt: time(at("created_at"), { filter: true, sort: true }),
    updatedAt: nullable(time(at("updated_at"), { filter: true, sort: true })),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  visible: (viewer: Viewer) => visibleTo(viewer, at("project_id")),
  notFound: volumeNotFound,
})

export type Volume = Thing<typeof volumeNoun>
