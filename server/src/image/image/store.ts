// SQL of images.
import { type RawBuilder, type Selectable, sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, jsonb, type Tx, violatedConstraint } from "../../platform/db/database.ts"
import { can } from "../../platform/policy/can.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { imageIdTaken, imageNotFound } from "../faults.ts"
import type { ImageTable } from "../tables.ts"
import type { Image, ImageStatus } from "./image.ts"

/** The image, and the caller's project if the image is shared with it. */
export interface VisibleImage {
  image: Image
  memberId: string | null
}

type Row = Selectable<ImageTable>

export function toImage(row: Row): Image {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    status: row.status,
    visibility: row.visibility,
    diskFormat: row.disk_format,
    containerFormat: row.container_format,
    sizeBytes: row.size_bytes,
    virtualSizeBytes: row.virtual_size_bytes,
    minDiskGib: row.min_disk_gib,
    minRamMib: row.min_ram_mib,
    isProtected: row.is_protected,
    isHidden: row.is_hidden,
    checksum: row.checksum,
    osHashAlgo: row.os_hash_algo,
    osHashValue: row.os_hash_value,
    properties: row.properties,
    tags: row.tags,
    contentProblem: row.content_problem,
    generation: row.generation,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** Glance's `is_admin`: sees every project's images. */
export function isAdmin(ctx: Ctx): boolean {
  return can(ctx, "image:context_is_admin")
}

/** What policy rules see of an image. */
export function imageTarget({ image, memberId }: VisibleImage): PolicyTarget {
  return {
    ...image.properties,
    id: image.id,
    image_id: image.id,
    name: image.name,
    status: image.status,
    project_id: image.projectId,
    owner: image.projectId,
    member_id: memberId,
    visibility: image.visibility,
    protected: image.isProtected,
  }
}

/** Rows (alias `i`) that the caller may know of at all. */
export function isVisible(ctx: Ctx): RawBuilder<boolean> {
  const { caller } = ctx
  if (isAdmin(ctx)) return sql<boolean>`true`
  const open = sql`i.visibility in ('public', 'community') or i.project_id is null`
  if (!caller.projectId) return sql<boolean>`(${open})`
  return sql<boolean>`(${open} or i.project_id = ${caller.projectId} or (i.visibility = 'shared' and exists (
    select from image.member m where m.image_id = i.id and m.member_id = ${caller.projectId})))`
}

const imageIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function isImageId(id: string): boolean {
  return imageIdPattern.test(id)
}

/** The image if the caller may see it, else `image.image.not_found`. */
export async function visibleImage(ctx: Ctx, imageId: string): Promise<VisibleImage> {
  if (!isImageId(imageId)) throw imageNotFound(imageId)
  const found = await sql<Row & { member: string | null }>`
    select i.*, (select m.member_id from image.member m
      where m.image_id = i.id and m.member_id = ${ctx.caller.projectId}) as member
    from image.image i where i.id = ${imageId} and ${isVisible(ctx)}`.execute(ctx.db)
  const row = found.rows[0]
  if (!row) throw imageNotFound(imageId)
  const visible = { image: toImage(row), memberId: row.member }
  if (!ctx.policy.isAllowed(ctx.caller, "get_image", imageTarget(visible))) throw imageNotFound(imageId)
  return visible
}

/** Without asking who wants to know. */
export async function findImage(db: DbOrTx, imageId: string): Promise<Image | undefined> {
  const row = await db.selectFrom("image.image").selectAll().where("id", "=", imageId).executeTakeFirst()
  return row && toImage(row)
}

/** The newest state; nobody else changes it until the transaction ends. */
export async function lockImage(tx: Tx, imageId: string): Promise<Image | undefined> {
  const row = await tx
    .selectFrom("image.image")
    .selectAll()
    .where("id", "=", imageId)
    .forUpdate()
    .executeTakeFirst()
  return row && toImage(row)
}

export interface NewImage {
  id: string
  projectId: string | null
  name: string | null
  visibility: Image["visibility"]
  diskFormat: string | null
  containerFormat: string | null
  minDiskGib: number
  minRamMib: number
  isProtected: boolean
  isHidden: boolean
  properties: Record<string, string>
  tags: string[]
}

/** What users say of an image. */
function recordColumns(image: Omit<NewImage, "id">) {
  return {
    project_id: image.projectId,
    name: image.name,
    visibility: image.visibility,
    disk_format: image.diskFormat,
    container_format: image.containerFormat,
    min_disk_gib: image.minDiskGib,
    min_ram_mib: image.minRamMib,
    is_protected: image.isProtected,
    is_hidden: image.isHidden,
    properties: jsonb(image.properties),
    tags: [...new Set(image.tags)],
  }
}

export async function insertImage(tx: Tx, image: NewImage, now: Date): Promise<Image> {
  try {
    const row = await tx
      .insertInto("image.image")
      .values({
        id: image.id,
        status: "queued",
        ...recordColumns(image),
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    return toImage(row)
  } catch (error) {
    if (violatedConstraint(error) === "image_pkey") throw imageIdTaken(image.id)
    throw error
  }
}

/** Everything that a change of the record may set; undefined when somebody changed it first. */
export async function replaceImage(tx: Tx, image: Image, now: Date): Promise<Image | undefined> {
  const row = await tx
    .updateTable("image.image")
    .set({
      ...recordColumns(image),
      generation: image.generation + 1,
      updated_at: now,
    })
    .where("id", "=", image.id)
    .where("generation", "=", image.generation)
    .returningAll()
    .executeTakeFirst()
  return row && toImage(row)
}

/** Compare-and-set on the status; undefined when it is none of `from`. */
export async function moveImage(
  tx: Tx,
  imageId: string,
  from: readonly ImageStatus[],
  to: ImageStatus,
  now: Date,
): Promise<Image | undefined> {
  const row = await tx
    .updateTable("image.image")
    .set({ status: to, generation: sql`generation + 1`, updated_at: now })
    .where("id", "=", imageId)
    .where("status", "in", [...from])
    .returningAll()
    .executeTakeFirst()
  return row && toImage(row)
}

/** Sets or removes (null) single properties without touching the others. */
export async function setProperties(
  tx: Tx,
  imageId: string,
  values: Record<string, string | null>,
  now: Date,
): Promise<Image | undefined> {
  const remove = Object.keys(values).filter((key) => values[key] === null)
  const set = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))
  const row = await tx
    .updateTable("image.image")
    .set({
      properties: sql`(properties - ${remove}::text[]) || ${JSON.stringify(set)}::jsonb`,
      generation: sql`generation + 1`,
      updated_at: now,
    })
    .where("id", "=", imageId)
    .returningAll()
    .executeTakeFirst()
  return row && toImage(row)
}
