// The noun: a server as the domain knows it, and the pure facts about one.
import { createHash } from "node:crypto"
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { PowerState } from "../../agent/protocol.ts"
import type { NetworksRequest, PlannedServerPorts } from "../../network/index.ts"
import {
  boolean,
  byPattern,
  field,
  filterOnly,
  integer,
  matched,
  nullable,
  structure,
  text,
  texts,
  time,
  uuid,
  word,
} from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { word as oneWord, nullable as orNull } from "../../platform/schema/make.ts"
import { badRequest, serverNotFound } from "../faults.ts"
import { everything, type Viewer, visibleTo } from "../viewer.ts"

export const vmStates = [
  "building",
  "active",
  "paused",
  "suspended",
  "stopped",
  "rescued",
  "resized",
  "soft-delete",
  "deleted",
  "error",
  "shelved",
  "shelved_offloaded",
] as const
export type VmState = (typeof vmStates)[number]

export const taskStates = [
  "scheduling",
  "networking",
  "block_device_mapping",
  "spawning",
  "deleting",
  "soft-deleting",
  "restoring",
  "powering-on",
  "powering-off",
  "rebooting",
  "rebooting_hard",
  "pausing",
  "unpausing",
  "suspending",
  "resuming",
  "rebuilding",
  "rebuild_spawning",
  "migrating",
  "resize_prep",
  "resize_migrating",
  "resize_finish",
  "resize_reverting",
  "image_snapshot_pending",
  "image_snapshot",
  "image_uploading",
  "image_backup",
  "shelving",
  "shelving_offloading",
  "unshelving",
  "rescuing",
  "unrescuing",
] as const
export type TaskState = (typeof taskStates)[number]

/** Nova's numbers. */
export const powerStates = {
  pending: 0,
  running: 1,
  paused: 3,
  shutdown: 4,
  crashed: 6,
  suspended: 7,
} as const

/** Nova's number for what the hypervisor says. */
export function powerNumberOf(power: PowerState): number {
  return power === "absent" ? powerStates.pending : powerStates[power]
}

export const FlavorSnapshot = Type.Object({
  id: Type.String(),
  flavorId: Type.String(),
  name: Type.String(),
  vcpus: Type.Integer(),
  ramMib: Type.Integer(),
  diskGib: Type.Integer(),
  ephemeralGib: Type.Integer(),
  swapMib: Type.Integer(),
  rxtxFactor: Type.Number(),
  isPublic: Type.Boolean(),
  extraSpecs: Type.Record(Type.String(), Type.String()),
})
export type FlavorSnapshot = Static<typeof FlavorSnapshot>

export const ServerFault = Type.Object({
  code: Type.Integer(),
  message: Type.String(),
  details: orNull(Type.String()),
  createdAt: Type.String(),
})
export type ServerFault = Static<typeof ServerFault>

export const BlockDevice = Type.Object({
  bootIndex: orNull(Type.Integer()),
  sourceType: oneWord(["image", "blank"]),
  destinationType: Type.Literal("local"),
  sizeGib: orNull(Type.Integer()),
  deviceName: orNull(Type.String()),
  deleteOnTermination: Type.Boolean(),
  guestFormat: orNull(Type.String()),
  volumeId: orNull(Type.String()),
})
export type BlockDevice = Static<typeof BlockDevice>

export interface ServerViewer extends Viewer {
  /** Deleted ones too. */
  withDeleted: boolean
}

/** For the program's own reads. */
export const everyServer: ServerViewer = { ...everything, withDeleted: false }

const listed = { filter: true, sort: true } as const
const kept = { internal: true } as const
const at = (column: string) => sql`${sql.ref(`server.${column}`)}`
const timeText = (column: string) => sql`to_char(${at(column)} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')`
export const serverNoun = noun({
  name: "compute.server",
  table: sql`compute.server`,
  alias: "server",
  fields: {
    id: uuid(at("id"), { name: "uuid", ...listed }),
    number: integer(at("number"), kept),
    projectId: text(at("project_id"), listed),
    userId: text(at("user_id"), listed),
    generation: integer(at("generation"), kept),
    name: byPattern(
      field("text", Type.String({ minLength: 1, maxLength: 255 }), at("name"), { update: true, ...listed }),
      at("name"),
    ),
    description: nullable(byPattern(text(at("description"), { update: true, ...listed }), at("description"))),
    hostname: byPattern(text(at("hostname"), { update: true, ...listed }), at("hostname")),
    vmState: word(vmStates, at("vm_state"), listed),
    taskState: nullable(word(taskStates, at("task_state"), listed)),
    powerState: integer(at("power_state"), listed),
    progress: integer(at("progress"), listed),
    fault: nullable(structure(ServerFault, at("fault"))),
    host: nullable(text(at("host"), listed)),
    node: byPattern(
      filterOnly(() => sql<boolean>`false`),
      at("host"),
    ),
    availabilityZone: nullable(
      byPattern(text(at("availability_zone"), listed), sql`coalesce(${at("availability_zone")}, '')`),
    ),
    pinnedAvailabilityZone: nullable(text(at("pinned_availability_zone"))),
    imageId: nullable(uuid(at("image_id"), { name: "image", ...listed })),
    flavorId: text(at("flavor_id"), { name: "flavor", ...listed }),
    flavor: structure(FlavorSnapshot, at("flavor")),
    oldFlavor: nullable(structure(FlavorSnapshot, at("old_flavor"), kept)),
    oldHost: nullable(text(at("old_host"), kept)),
    metadata: structure(Type.Record(Type.String(), Type.String()), at("metadata")),
    systemMetadata: structure(Type.Record(Type.String(), Type.String()), at("system_metadata"), kept),
    tags: matched(
      texts(at("tags"), { filter: true }),
      (tags) => sql<boolean>`${at("tags")} @> ${[...tags]}::text[]`,
    ),
    tagsAny: filterOnly((tags) => sql<boolean>`${at("tags")} && ${[...tags]}::text[]`, "tags-any"),
    notTags: filterOnly((tags) => sql<boolean>`not ${at("tags")} @> ${[...tags]}::text[]`, "not-tags"),
    notTagsAny: filterOnly((tags) => sql<boolean>`not ${at("tags")} && ${[...tags]}::text[]`, "not-tags-any"),
    keyName: nullable(byPattern(text(at("key_name"), listed), at("key_name"))),
    keyType: nullable(text(at("key_type"), kept)),
    publicKey: nullable(text(at("public_key"), kept)),
    userData: nullable(text(at("user_data"))),
    hasConfigDrive: boolean(at("has_config_drive"), { name: "config_drive", ...listed }),
    hasAutoDiskConfig: boolean(at("has_auto_disk_config"), {
      name: "auto_disk_config",
      update: true,
      ...listed,
    }),
    rootDeviceName: nullable(byPattern(text(at("root_device_name"), listed), at("root_device_name"))),
    kernelId: nullable(byPattern(text(at("kernel_id"), listed), at("kernel_id"))),
    ramdiskId: nullable(byPattern(text(at("ramdisk_id"), listed), at("ramdisk_id"))),
    accessIpV4: nullable(
      byPattern(text(at("access_ip_v4"), { update: true, ...listed }), at("access_ip_v4")),
    ),
    accessIpV6: nullable(
      byPattern(text(at("access_ip_v6"), { update: true, ...listed }), at("access_ip_v6")),
    ),
    /** Names, as they were asked for. */
    securityGroups: texts(at("security_groups"), kept),
    /** As its request was understood; of servers that earlier programs made, as it was asked. */
    requestedNetworks: nullable(
      structure(
        Type.Unsafe<PlannedServerPorts | Exclude<NetworksRequest, null>>({}),
        at("requested_networks"),
        kept,
      ),
    ),
    schedulerHints: structure(Type.Record(Type.String(), Type.Unknown()), at("scheduler_hints"), kept),
    serverGroupId: nullable(uuid(at("server_group_id"))),
    trustedImageCertificates: nullable(texts(at("trusted_image_certificates"))),
    hasVolumes: boolean(at("has_volumes"), kept),
    blockDevices: structure(Type.Array(BlockDevice), at("block_devices"), kept),
    reservationId: byPattern(text(at("reservation_id"), { filter: true }), at("reservation_id")),
    launchIndex: integer(at("launch_index"), listed),
    lockedBy: nullable(byPattern(word(["owner", "admin"], at("locked_by"), listed), at("locked_by"))),
    locked: filterOnly(([isLocked]) =>
      isLocked === "true"
        ? sql<boolean>`${at("locked_by")} is not null`
        : sql<boolean>`${at("locked_by")} is null`,
    ),
    lockedReason: nullable(text(at("locked_reason"))),
    createdAt: byPattern(time(at("created_at"), listed), timeText("created_at")),
    updatedAt: time(at("updated_at"), { sort: true }),
    launchedAt: nullable(byPattern(time(at("launched_at"), listed), timeText("launched_at"))),
    terminatedAt: nullable(byPattern(time(at("terminated_at"), listed), timeText("terminated_at"))),
    deletedAt: nullable(time(at("deleted_at"))),
    softDeletedAt: nullable(time(at("soft_deleted_at"), kept)),
    /** `gone`: also those that are deleted for a while. */
    deleted: filterOnly(([which]) => {
      if (which === "false") return sql<boolean>`${at("deleted_at")} is null`
      const isDeleted = sql<boolean>`${at("deleted_at")} is not null`
      return which === "gone" ? sql<boolean>`(${isDeleted} or ${at("vm_state")} = 'soft-delete')` : isDeleted
    }),
    softDeleted: filterOnly(() => sql<boolean>`${at("vm_state")} <> 'soft-delete'`),
  },
  visible: (viewer: ServerViewer) => {
    const { row } = visibleTo(viewer, at("project_id"))
    const there = viewer.withDeleted ? row : sql<boolean>`${row} and ${at("deleted_at")} is null`
    return { row: there, main: there, others: [] }
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  notFound: serverNotFound,
  markerNotFound: (id) => badRequest(`marker [${id}] not found`),
})

export type Server = Thing<typeof serverNoun>

/** Its root disk is a volume: it has no image that its disk could be made of anew. */
export function isVolumeBacked({ imageId, hasVolumes }: Pick<Server, "imageId" | "hasVolumes">): boolean {
  return imageId === null && hasVolumes
}

export const maxTagsOfServer = 50

export function instanceNameOf(server: Pick<Server, "number">): string {
  return `instance-${server.number.toString(16).padStart(8, "0")}`
}

/** What a project sees of its host: the same for two of its servers there, and of no use to find the host. */
export function hostIdOf(projectId: string, host: string | null): string {
  if (!host) return ""
  const key = `${projectId}/${host}`
  let id = hostIds.get(key)
  if (id === undefined) {
    id = createHash("sha224").update(projectId).update(host).digest("hex")
    if (hostIds.size >= hostIdsMost) hostIds.clear()
    hostIds.set(key, id)
  }
  return id
}
const hostIds = new Map<string, string>()
/** Lists ask for the same few pairs again and again. */
const hostIdsMost = 10_000

/** The host name that a guest gets: RFC 1123 letters of the display name, or `Server-<id>` when none is left. */
export function hostnameOf(name: string, serverId: string): string {
  const word = name
    .normalize("NFKD")
    .replaceAll(/[^\x20-\x7e]/g, "")
    .replaceAll(/[ _.]/g, "-")
    .replaceAll(/[^\w.-]+/g, "")
    .toLowerCase()
    .replace(/^[.-]+/, "")
    .slice(0, 63)
    .replace(/[.-]+$/, "")
  return word === "" ? `Server-${serverId}` : word
}
