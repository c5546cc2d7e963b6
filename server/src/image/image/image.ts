// The noun: its shape, its states, what may follow what.
//
//   queued ──upload──▶ saving ──▶ active ◀──▶ deactivated
//     │  ▲───(transfer died)──┘      ▲
//     └──stage──▶ uploading ──import──▶ importing

import { type RawBuilder, sql } from "kysely"
import { type Static, Type } from "typebox"
import {
  boolean,
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
import { noun, type Thing, type Visible, visibleToAll } from "../../platform/noun/noun.ts"
import { nullable as nullableSchema } from "../../platform/schema/make.ts"
import { imageNotFound } from "../faults.ts"
import type { MemberStatus } from "../member/member.ts"

export const imageStatuses = [
  "queued",
  "saving",
  "uploading",
  "importing",
  "active",
  "deactivated",
  "killed",
  "pending_delete",
] as const
export type ImageStatus = (typeof imageStatuses)[number]

export const visibilities = ["public", "community", "shared", "private"] as const
export type Visibility = (typeof visibilities)[number]

export const diskFormats = [
  "ami",
  "ari",
  "aki",
  "vhd",
  "vhdx",
  "vmdk",
  "raw",
  "qcow2",
  "vdi",
  "iso",
  "ploop",
] as const
export const containerFormats = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"] as const

/** A place of an image's data: a file of a file store, or an address. */
const Place = Type.Object({
  store: Type.String(),
  file: nullableSchema(Type.String()),
  url: nullableSchema(Type.String()),
  metadata: Type.Record(Type.String(), Type.Unknown()),
})
export type Place = Static<typeof Place>

/** Who looks: administrators see every project's, others what is theirs, shared with them or everybody's. */
export interface ImageViewer {
  projectId: string | null
  seesAll: boolean
  /** What a list shows of what others have; absent: all that may be read. */
  shows?: { community: boolean; answered: MemberStatus | "all" }
}

/** For the program's own reads. */
export const everybody: ImageViewer = { projectId: null, seesAll: true }

const listed = { filter: true, sort: true } as const

/** Of the row of the image, in the order in which users see them. */
export const placesOf = sql<
  Place[]
>`(select coalesce(jsonb_agg(jsonb_build_object('store', l.store, 'file', l.file, 'url', l.url,
  'metadata', l.metadata) order by l.position), '[]') from image.location l where l.image_id = image.id)`

export const imageNoun = noun({
  name: "image.image",
  table: sql`image.image`,
  alias: "image",
  fields: {
    id: uuid(sql`image.id`, { create: true, ...listed }),
    /** Null when nobody owns it. */
    projectId: nullable(
      text(sql`image.project_id`, { name: "owner", create: true, update: true, filter: true }),
    ),
    name: nullable(text(sql`image.name`, { create: true, update: true, ...listed })),
    status: word(imageStatuses, sql`image.status`, listed),
    visibility: word(visibilities, sql`image.visibility`, { create: true, update: true, filter: true }),
    diskFormat: nullable(text(sql`image.disk_format`, { create: true, update: true, ...listed })),
    containerFormat: nullable(text(sql`image.container_format`, { create: true, update: true, ...listed })),
    sizeBytes: nullable(integer(sql`image.size_bytes`, { name: "size", ...listed })),
    virtualSizeBytes: nullable(
      integer(sql`image.virtual_size_bytes`, { name: "virtual_size", filter: true }),
    ),
    minDiskGib: integer(sql`image.min_disk_gib`, {
      name: "min_disk",
      create: true,
      update: true,
      filter: true,
    }),
    minRamMib: integer(sql`image.min_ram_mib`, { name: "min_ram", create: true, update: true, filter: true }),
    isProtected: boolean(sql`image.is_protected`, {
      name: "protected",
      create: true,
      update: true,
      filter: true,
    }),
    isHidden: boolean(sql`image.is_hidden`, { name: "os_hidden", create: true, update: true, filter: true }),
    /** md5 of the data. */
    checksum: nullable(text(sql`image.checksum`, { filter: true })),
    osHashAlgo: nullable(text(sql`image.os_hash_algo`, { filter: true })),
    osHashValue: nullable(text(sql`image.os_hash_value`, { filter: true })),
    /** Everything that users add under their own names. */
    properties: structure(Type.Record(Type.String(), Type.String()), sql`image.properties`, {
      create: true,
      update: true,
    }),
    tags: matched(
      texts(sql`image.tags`, { create: true, update: true, filter: true }),
      (tags) => sql<boolean>`image.tags @> ${[...tags]}::text[]`,
    ),
    /** Why no machine may boot it although its data are there. */
    contentProblem: nullable(text(sql`image.content_problem`, { internal: true })),
    /** md5 of the data as the cloud itself read them, where `checksum` is what somebody said; "" until they were read. */
    readChecksum: nullable(text(sql`image.read_checksum`, { internal: true })),
    /** Where the data are, in the order in which users see it. */
    places: structure(Type.Array(Place), placesOf, { internal: true }),
    generation: integer(sql`image.generation`, { internal: true }),
    createdAt: time(sql`image.created_at`, listed),
    updatedAt: time(sql`image.updated_at`, listed),
    /** The viewer's project where the image is shared with it: some policies ask for it. */
    memberId: nullable(text(memberOf, { internal: true })),
  },
  visible: (viewer: ImageViewer) => visibleRows(viewer),
  notFound: imageNotFound,
})

export type Image = Thing<typeof imageNoun>

function memberOf({ projectId }: ImageViewer): RawBuilder<unknown> {
  if (!projectId) return sql`null`
  return sql`case when image.visibility = 'shared' and image.project_id is distinct from ${projectId} then
    (select m.member_id from image.member m where m.image_id = image.id and m.member_id = ${projectId}) end`
}

function visibleRows({ projectId, seesAll, shows }: ImageViewer): Visible {
  if (seesAll) return visibleToAll
  const open = sql<boolean>`image.visibility in ('public', 'community')`
  const owned = sql`image.project_id = ${projectId}`
  const shared = sql`image.visibility = 'shared'`
  const row = projectId
    ? sql<boolean>`(${open} or image.project_id is null or ${owned} or (${shared} and exists (
        select from image.member m where m.image_id = image.id and m.member_id = ${projectId})))`
    : sql<boolean>`(${open} or image.project_id is null)`
  const shown = shows?.community === false ? sql`image.visibility = 'public'` : open
  const others = [sql<boolean>`${shown} and image.project_id is distinct from ${projectId}`]
  // What nobody owns may be read by who knows its id; no list shows it.
  if (!shows) others.push(sql<boolean>`image.project_id is null and not ${open}`)
  if (!projectId) return { row, main: sql<boolean>`false`, others }
  const answer = shows && shows.answered !== "all" ? sql`and m.status = ${shows.answered}` : sql``
  const members = sql`select m.image_id from image.member m where m.member_id = ${projectId} ${answer}`
  const another = shows
    ? sql`image.project_id is distinct from ${projectId}`
    : sql`image.project_id <> ${projectId}`
  others.push(sql<boolean>`image.id = any(array(${members})) and ${shared} and ${another}`)
  return { row, main: sql<boolean>`${owned}`, others }
}

/** States in which the data can be read. */
export function hasData(image: Pick<Image, "status">): boolean {
  return image.status === "active" || image.status === "deactivated"
}

/** What users may not set: the cloud's own words. */
export const reservedPrefix = "os_glance"

/** The task that works on the image; the next begins when it is gone. */
export const importTaskProperty = "os_glance_import_task"

/** Properties that the cloud keeps for itself and does not show. */
export const hiddenProperties: readonly string[] = ["os_glance_stage_host"]
