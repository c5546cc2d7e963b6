// Which type a new volume is of.
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { findThing, listThings } from "../../platform/noun/list.ts"
import { inputInvalid, volumeTypeNotFound } from "../faults.ts"
import { everything, type Viewer, viewerOf } from "../viewer.ts"
import { type VolumeType, volumeTypeNoun } from "./volume-type.ts"

/** Named by id or name, among those that the caller sees. */
export async function findVolumeType(ctx: Ctx, named: string): Promise<VolumeType> {
  const found = await typeNamed(ctx.db, viewerOf(ctx), named)
  if (!found) throw volumeTypeNotFound(named)
  return found
}

/** Of what is made of a volume of this type, for a project that may use it. */
export async function inheritedVolumeType(db: DbOrTx, viewer: Viewer, id: string): Promise<VolumeType> {
  const type = await findThing(db, volumeTypeNoun, viewer, id)
  if (!type)
    throw inputInvalid(
      "Invalid volume_type: the project may not use the type of the source any more; name another one.",
    )
  return type
}

/** Of a project for which nobody has asked for one. */
export async function defaultVolumeType(ctx: Ctx, projectId: string | null): Promise<VolumeType> {
  const own =
    projectId === null
      ? undefined
      : await ctx.db
          .selectFrom("block_storage.default_type")
          .select("volume_type_id")
          .where("project_id", "=", projectId)
          .executeTakeFirst()
  if (own) {
    const type = await findThing(ctx.db, volumeTypeNoun, everything, own.volume_type_id)
    if (type) return type
  }
  const name = ctx.config.blockStorage.defaultVolumeType
  const type = await typeNamed(ctx.db, everything, name)
  if (!type) throw volumeTypeNotFound(name)
  return type
}

async function typeNamed(db: DbOrTx, viewer: Viewer, named: string): Promise<VolumeType | undefined> {
  if (isUuid(named)) {
    const byId = await findThing(db, volumeTypeNoun, viewer, named)
    if (byId) return byId
  }
  const [byName] = await listThings(db, volumeTypeNoun, viewer, {
    filters: { name: [named] },
    page: { limit: 1 },
  })
  return byName
}
