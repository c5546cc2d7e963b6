// Images that come with the cloud: the small guest image at first start.
import { stat } from "node:fs/promises"
import { join } from "node:path"
import { sql } from "kysely"
import { internalCtx, type Platform } from "../../platform/context/context.ts"
import { jsonb, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { ensureDirectories, hashFile, publishFile, removeFile } from "../data/file-store.ts"
import { fileName, storePaths } from "../data/paths.ts"
import { mainStoreId } from "../data/stores.ts"
import { activeColumns } from "../data/transfer.ts"
import { announceImage } from "../image/events.ts"
import type { Image, Visibility } from "../image/image.ts"
import { imageFields } from "../image/store.ts"
import { addPlace, pathOf } from "../location/rows.ts"
import { takeFile } from "./boot.ts"

export interface LocalImage {
  /** Chosen id; default: a new one. */
  id?: string
  name: string
  path: string
  diskFormat: string
  containerFormat: string
  visibility: Visibility
  minDiskGib: number
  minRamMib: number
  properties: Record<string, string>
  /** Default: owned by nobody. */
  ownerId?: string | null
}

/**
 * Makes sure that an image of that name with the data of that file is there. An older one of the same name and owner
 * with other data is hidden, so that the name means the new one.
 */
export async function registerLocalImage(platform: Platform, local: LocalImage): Promise<Image> {
  const known = await findSameFile(platform, local)
  if (known) return known
  await ensureDirectories(platform, mainStoreId)
  const id = local.id ?? newUuid()
  const name = fileName(id, newUuid())
  const { tmp, store } = storePaths(platform, mainStoreId)
  try {
    const data = await takeFile(platform, local.path, join(tmp, name), local, { isOurs: true })
    await publishFile(join(tmp, name), join(store, name))
    const ctx = internalCtx(platform)
    const image = await transact(platform.db, async (tx) => {
      await sql`select pg_advisory_xact_lock(hashtextextended(${`image:register:${local.name}`}, 0))`.execute(
        tx,
      )
      const before = await findOwn(platform, local, data.checksum)
      if (before) return before
      const now = platform.clock.now()
      await tx
        .updateTable("image.image")
        .set({ is_hidden: true, updated_at: now, generation: sql`generation + 1` })
        .where("name", "=", local.name)
        .where("project_id", "is not distinct from", local.ownerId ?? null)
        .execute()
      const image = await tx
        .insertInto("image.image")
        .values({
          ...activeColumns(data),
          id,
          project_id: local.ownerId ?? null,
          name: local.name,
          visibility: local.visibility,
          disk_format: local.diskFormat,
          container_format: local.containerFormat,
          min_disk_gib: local.minDiskGib,
          min_ram_mib: local.minRamMib,
          properties: jsonb(local.properties),
          created_at: now,
          updated_at: now,
        })
        .returning(imageFields)
        .$castTo<Image>()
        .executeTakeFirstOrThrow()
      await addPlace(tx, id, { store: mainStoreId, file: name }, now)
      await announceImage(tx, ctx, "activate", image)
      return image
    })
    if (image.id !== id) await removeFile(join(store, name))
    return image
  } catch (error) {
    for (const dir of [tmp, store]) await removeFile(join(dir, name))
    throw error
  }
}

async function findOwn(platform: Platform, local: LocalImage, checksum: string): Promise<Image | undefined> {
  return await platform.db
    .selectFrom("image.image")
    .select(imageFields)
    .where("name", "=", local.name)
    .where("project_id", "is not distinct from", local.ownerId ?? null)
    .where("checksum", "=", checksum)
    .where("status", "in", ["active", "deactivated"])
    .$castTo<Image>()
    .executeTakeFirst()
}

/** Start after start the file is the same: a linked one is known by its inode, without reading it. */
async function findSameFile(platform: Platform, local: LocalImage): Promise<Image | undefined> {
  const rows = await platform.db
    .selectFrom("image.image")
    .select(imageFields)
    .where("name", "=", local.name)
    .where("project_id", "is not distinct from", local.ownerId ?? null)
    .where("status", "in", ["active", "deactivated"])
    .where("is_hidden", "=", false)
    .$castTo<Image>()
    .execute()
  if (rows.length === 0) return undefined
  const source = await stat(local.path)
  let checksum: string | undefined
  for (const row of rows) {
    const path = row.places.map((place) => pathOf(platform, place)).find((found) => found !== undefined)
    const kept = path === undefined ? undefined : await stat(path).catch(() => undefined)
    if (!kept) continue
    if (kept.ino === source.ino && kept.dev === source.dev) return row
    if (kept.size !== source.size) continue
    checksum ??= (await hashFile(local.path)).checksum
    if (checksum === row.checksum) return row
  }
  return undefined
}
