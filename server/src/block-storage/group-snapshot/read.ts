import type { Ctx } from "../../platform/context/context.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { listOfProjects } from "../list.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { type GroupSnapshot, groupSnapshotNoun } from "./group-snapshot.ts"

/** One that the caller sees; throws `groupSnapshotNotFound`. */
export async function visibleGroupSnapshot(ctx: Ctx, id: string): Promise<GroupSnapshot> {
  return await loadThing(ctx.db, groupSnapshotNoun, viewerOf(ctx), id)
}

export const getGroupSnapshot = getOf(groupSnapshotNoun, {
  viewer: viewerOf,
  target: targetOf,
  rule: "group:get_group_snapshot",
})

export const listGroupSnapshots = listOfProjects(groupSnapshotNoun, "group:get_all_group_snapshots")
