import type { Ctx } from "../../platform/context/context.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { countOfProjects, listOfProjects } from "../list.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { type Backup, backupNoun } from "./backup.ts"

/** One that the caller sees; throws `backupNotFound`. */
export async function visibleBackup(ctx: Ctx, id: string): Promise<Backup> {
  return await loadThing(ctx.db, backupNoun, viewerOf(ctx), id)
}

export const getBackup = getOf(backupNoun, { viewer: viewerOf, target: targetOf, rule: "backup:get" })

export const listBackups = listOfProjects(backupNoun, "backup:get_all")

export const countBackups = countOfProjects(backupNoun, "backup:get_all")
