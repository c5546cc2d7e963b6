import type { Ctx } from "../../platform/context/context.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { countOfProjects, listOfProjects } from "../list.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { type Volume, volumeNoun } from "./volume.ts"

/** One that the caller sees; throws `volumeNotFound`. */
export async function visibleVolume(ctx: Ctx, id: string): Promise<Volume> {
  return await loadThing(ctx.db, volumeNoun, viewerOf(ctx), id)
}

export const getVolume = getOf(volumeNoun, { viewer: viewerOf, target: targetOf, rule: "volume:get" })

export const listVolumes = listOfProjects(volumeNoun, "volume:get_all")

export const countVolumes = countOfProjects(volumeNoun, "volume:get_all")
