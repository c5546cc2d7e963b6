// Snapshots of a volume by the hypervisor of its server, which a block storage asks for whose back end cannot take any.
// The one of this cloud takes its own, so nothing is done here, and that is told.
import { sql } from "kysely"
import { Type } from "typebox"
import type { DbOrTx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest } from "../faults.ts"

async function isAttached(db: DbOrTx, volumeId: string): Promise<boolean> {
  if (!isUuid(volumeId)) return false
  const { rows } =
    await sql`select 1 from compute.block_device where volume_id = ${volumeId} limit 1`.execute(db)
  return rows.length > 0
}

const asked = (verb: "create" | "delete") =>
  operation({
    name: `compute.assisted_snapshot.${verb}`,
    input: Type.Object({ volumeId: Type.String() }),
    faults: [badRequest],
    rule: `os_compute_api:os-assisted-volume-snapshots:${verb}`,
    run: async (ctx, { volumeId }): Promise<never> => {
      if (!(await isAttached(ctx.db, volumeId)))
        throw badRequest(`No volume Block Device Mapping with id ${volumeId}.`)
      throw badRequest(
        `Invalid volume: the back end of volume ${volumeId} takes and removes its snapshots itself.`,
      )
    },
  })

export const createAssistedSnapshot = asked("create")
export const deleteAssistedSnapshot = asked("delete")
