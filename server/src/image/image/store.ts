// SQL of images.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, jsonb, type Tx, violatedConstraint } from "../../platform/db/database.ts"
import { findThing, loadThing } from "../../platform/noun/list.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { can } from "../../platform/policy/can.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { dataDeactivated, imageIdTaken, imageNotFound } from "../faults.ts"
import { everybody, type Image, type ImageStatus, type ImageViewer, imageNoun } from "./image.ts"

/** Glance's `is_admin`: sees every project's images. */
export function isAdmin(ctx: Ctx): boolean {
  return can(ctx, "image:context_is_admin")
}

/** What policy rules see of an image. */
export function imageTarget(image: Image): PolicyTarget {
  return {
    ...image.properties,
    id: image.id,
    image_id: image.id,
    name: image.name,
    status: image.status,
    project_id: image.projectId,
    owner: image.projectId,
    member_id: image.memberId,
    visibility: image.visibility,
    protected: image.isProtected,
  }
}

export function imageViewerOf(ctx: Ctx): ImageViewer {
  return { projectId: ctx.caller.projectId, seesAll: isAdmin(ctx) }
}

const imageIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function isImageId(id: string): boolean {
  return imageIdPattern.test(id)
}

/** The image if the caller may see it, else `image.image.not_found`. */
export async function visibleImage(ctx: Ctx, imageId: string): Promise<Image> {
  if (!isImageId(imageId)) throw imageNotFound(imageId)
  const image = await loadThing(ctx.db, imageNoun, imageViewerOf(ctx), imageId)
  if (!ctx.policy.isAllowed(ctx.caller, "get_image", imageTarget(image))) throw imageNotFound(imageId)
  return image
}

/** Throws unless the caller may have the data of this image, which he sees: as himself, on a disk or in another image. */
export function checkMayHaveData(ctx: Ctx, image: Image): void {
  if (image.status === "deactivated" && !isAdmin(ctx)) throw dataDeactivated()
  ctx.policy.enforce(ctx.caller, "download_image", imageTarget(image))
}

/** Without asking who wants to know. */
export async function findImage(db: DbOrTx, imageId: string): Promise<Image | undefined> {
  return await findThing(db, imageNoun, everybody, imageId)
}

/** The image as a statement gives it: `.returning(imageFields).$castTo<Image>()`. */
export const imageFields = fieldsOf(imageNoun, everybody)

/** The newest state; nobody else changes it until the transaction ends. */
export async function lockImage(tx: Tx, imageId: string): Promise<Image | undefined> {
  // By itself: a statement that waited for the lock has read the rows of places before it waited.
  const row = tx.selectFrom("image.image").select("id").where("id", "=", imageId).forUpdate()
  return (await row.executeTakeFirst()) ? await findImage(tx, imageId) : undefined
}

export type NewImage = Pick<
  Image,
  | "id"
  | "projectId"
  | "name"
  | "visibility"
  | "diskFormat"
  | "containerFormat"
  | "minDiskGib"
  | "minRamMib"
  | "isProtected"
  | "isHidden"
  | "properties"
  | "tags"
>

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
    return await tx
      .insertInto("image.image")
      .values({
        id: image.id,
        status: "queued",
        ...recordColumns(image),
        created_at: now,
        updated_at: now,
      })
      .returning(imageFields)
      .$castTo<Image>()
      .executeTakeFirstOrThrow()
  } catch (error) {
    if (violatedConstraint(error) === "image_pkey") throw imageIdTaken(image.id)
    throw error
  }
}

/** Nobody who chooses an id gets this one again: servers, volumes and hosts may still know it for what it was. */
export async function keepGone(tx: Tx, imageId: string): Promise<void> {
  await tx
    .insertInto("image.gone")
    .values({ id: imageId })
    .onConflict((oc) => oc.doNothing())
    .execute()
}

export async function isGone(tx: Tx, imageId: string): Promise<boolean> {
  const row = tx.selectFrom("image.gone").select("id").where("id", "=", imageId)
  return (await row.executeTakeFirst()) !== undefined
}

/** Everything that a change of the record may set; undefined when somebody changed it first. */
export async function replaceImage(tx: Tx, image: Image, now: Date): Promise<Image | undefined> {
  return await tx
    .updateTable("image.image")
    .set({
      ...recordColumns(image),
      generation: image.generation + 1,
      updated_at: now,
    })
    .where("id", "=", image.id)
    .where("generation", "=", image.generation)
    .returning(imageFields)
    .$castTo<Image>()
    .executeTakeFirst()
}

/** Its places have changed. */
export async function touchImage(tx: Tx, imageId: string, now: Date): Promise<Image> {
  return await tx
    .updateTable("image.image")
    .set({ generation: sql`generation + 1`, updated_at: now })
    .where("id", "=", imageId)
    .returning(imageFields)
    .$castTo<Image>()
    .executeTakeFirstOrThrow()
}

/** Compare-and-set on the status; undefined when it is none of `from`. */
export async function moveImage(
  tx: Tx,
  imageId: string,
  from: readonly ImageStatus[],
  to: ImageStatus,
  now: Date,
): Promise<Image | undefined> {
  return await tx
    .updateTable("image.image")
    .set({ status: to, generation: sql`generation + 1`, updated_at: now })
    .where("id", "=", imageId)
    .where("status", "in", [...from])
    .returning(imageFields)
    .$castTo<Image>()
    .executeTakeFirst()
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
  return await tx
    .updateTable("image.image")
    .set({
      properties: sql`(properties - ${remove}::text[]) || ${JSON.stringify(set)}::jsonb`,
      generation: sql`generation + 1`,
      updated_at: now,
    })
    .where("id", "=", imageId)
    .returning(imageFields)
    .$castTo<Image>()
    .executeTakeFirst()
}
