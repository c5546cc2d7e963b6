import type { Ctx } from "../../platform/context/context.ts"
import { countThings, loadThing } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { listOfProjects, ProjectsQuery } from "../list.ts"
import { isAdmin, targetOf, viewerOf } from "../viewer.ts"
import { type Backup, backupNoun } from "./backup.ts"

/** One that the caller sees; throws `backupNotFound`. */
export async function visibleBackup(ctx: Ctx, id: string): Promise<Backup> {
  return await loadThing(ctx.db, backupNoun, viewerOf(ctx), id)
}

export const getBackup = getOf(backupNoun, { viewer: viewerOf, target: targetOf, rule: "backup:get" })

export const listBackups = listOfProjects(backupNoun, "backup:get_all")

/** Of all pages. */
export const countBackups = operation({
  name: "block_storage.backup.count",
  input: ProjectsQuery,
  rule: "backup:get_all",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, { isOfAllProjects, query }) => {
    const viewer = { projectId: ctx.caller.projectId, seesAll: isOfAllProjects && isAdmin(ctx) }
    return await countThings(ctx.db, backupNoun, viewer, query.filters)
  },
})
