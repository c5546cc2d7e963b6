import type { DbOrTx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { type Volume, volumeNoun } from "../volume/volume.ts"
import type { Snapshot } from "./snapshot.ts"

/**
 * The volume that it was taken of, which a volume made of it is to be like. Undefined: another project has been given
 * it, and what that one says of it since is not for whoever has kept the snapshot.
 */
export async function volumeOfSnapshot(
  db: DbOrTx,
  { volumeId, projectId }: Pick<Snapshot, "volumeId" | "projectId">,
): Promise<Volume | undefined> {
  return await findThing(db, volumeNoun, { projectId, seesAll: false }, volumeId)
}
