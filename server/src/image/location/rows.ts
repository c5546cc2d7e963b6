// The rows that say where the data of an image are. Their image's row is the lock: whoever adds or removes one holds
// it.

import { join } from "node:path"
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import { type DbOrTx, jsonb, type Tx, violatedConstraint } from "../../platform/db/database.ts"
import { removeUnnamed } from "../data/file-store.ts"
import { storePaths } from "../data/paths.ts"
import { findStore } from "../data/stores.ts"
import { imageGone, importUnderway } from "../faults.ts"
import { type Image, importTaskProperty, type Place } from "../image/image.ts"

export type NewPlace = { store: string; metadata?: Record<string, unknown> } & (
  | { file: string }
  | { url: string }
)

/** At the end of the list. Repeatable. Throws `image.image.gone` when the image was deleted meanwhile. */
export async function addPlace(tx: Tx, imageId: string, place: NewPlace, now: Date): Promise<void> {
  const last = sql<number>`(select coalesce(max(l.position), -1) from image.location l where l.image_id = ${imageId})`
  try {
    await tx
      .insertInto("image.location")
      .values({
        image_id: imageId,
        position: sql<number>`${last} + 1`,
        store: place.store,
        file: "file" in place ? place.file : null,
        url: "url" in place ? place.url : null,
        metadata: jsonb(place.metadata ?? {}),
        created_at: now,
      })
      .onConflict((oc) => oc.doNothing())
      .execute()
  } catch (error) {
    if (violatedConstraint(error) === "location_image_id_fkey") throw imageGone(imageId)
    throw error
  }
}

/** All of an image, or those with this file. */
export async function takePlaces(tx: Tx, imageId: string, file?: string): Promise<Place[]> {
  return await tx
    .deleteFrom("image.location")
    .where("image_id", "=", imageId)
    .$if(file !== undefined, (q) => q.where("file", "=", file ?? ""))
    .returning(["store", "file", "url", "metadata"])
    .execute()
}

export async function removePlace(tx: Tx, imageId: string, { store, file, url }: Place): Promise<void> {
  await tx
    .deleteFrom("image.location")
    .where("image_id", "=", imageId)
    .where("store", "=", store)
    .where(sql`coalesce(file, url)`, "=", file ?? url)
    .execute()
}

/** While data are on their way the list of places is theirs: who takes the last of the others has them lose it. */
export function checkIdle({ id, properties }: Pick<Image, "id" | "properties">): void {
  if (properties[importTaskProperty] !== undefined) throw importUnderway(id)
}

/** Whether this file is the image's in some store. */
export async function hasFile(db: DbOrTx, imageId: string, file: string): Promise<boolean> {
  const row = await db
    .selectFrom("image.location")
    .select("id")
    .where("image_id", "=", imageId)
    .where("file", "=", file)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** The file, where its store is one that we know. */
export function pathOf(
  platform: Pick<Platform, "config">,
  place: Pick<Place, "store" | "file">,
): string | undefined {
  if (place.file === null || findStore(platform, place.store)?.type !== "file") return undefined
  return join(storePaths(platform, place.store).store, place.file)
}

/** After the commit that took their rows. What a crash leaves of them is set aside. */
export async function removePlaceFiles(
  platform: Pick<Platform, "config" | "log">,
  places: readonly Place[],
): Promise<void> {
  for (const { store, file } of places) if (file !== null) await removeUnnamed(platform, [store], file)
}
