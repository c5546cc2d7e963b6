import type { Ctx } from "../../platform/context/context.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { countOfProjects, listOfProjects } from "../list.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { type Snapshot, snapshotNoun } from "./snapshot.ts"

/** One that the caller sees; throws `snapshotNotFound`. */
export async function visibleSnapshot(ctx: Ctx, id: string): Promise<Snapshot> {
  return await loadThing(ctx.db, snapshotNoun, viewerOf(ctx), id)
}

export const getSnapshot = getOf(snapshotNoun, {
  viewer: viewerOf,
  target: targetOf,
  rule: "volume:get_snapshot",
})

export const listSnapshots = listOfProjects(snapshotNoun, "volume:get_all_snapshots")

export const countSnapshots = countOfProjects(snapshotNoun, "volume:get_all_snapshots")
