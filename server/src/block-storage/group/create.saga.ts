// A place for a group: one back end that all of its volumes fit. Nothing is made there yet.
import { saga, withLog } from "../../engine/saga/saga.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { groupTypeNoun, neededOfBackend } from "../group-type/group-type.ts"
import { claimPlace, type Place } from "../pool/place.ts"
import { everything } from "../viewer.ts"
import { volumeTypeNoun } from "../volume-type/volume-type.ts"
import type { Group } from "./group.ts"
import { abandonGroup, changeGroup, finishGroup, type GroupTask, heldGroup } from "./store.ts"

export const createGroupSaga = saga<GroupTask>("block_storage.group.create", 1)
  .step("place", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const group = await heldGroup({ db: tx }, params)
        if (group.status === "available") return
        const place = await choosePlace(ctx, tx, group)
        await finishGroup(ctx, tx, params, "create", { status: "available", place })
      }),
    undo: ({ params }) =>
      withLog((tx) => changeGroup(tx, params, { status: "creating", place: null }).then(() => {})),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) => abandonGroup(ctx, tx, params, "create", { status: "error", failure })),
  )

async function choosePlace(ctx: Ctx, tx: Tx, { groupTypeId, volumeTypeIds }: Group): Promise<Place> {
  const groupType = await findThing(tx, groupTypeNoun, everything, groupTypeId)
  const alsoSpecs: Readonly<Record<string, string>>[] = []
  for (const id of volumeTypeIds) {
    const type = await findThing(tx, volumeTypeNoun, everything, id)
    if (type) alsoSpecs.push(type.extraSpecs)
  }
  const extraSpecs = neededOfBackend(groupType?.groupSpecs ?? {})
  return await claimPlace(ctx, tx, { sizeGib: 0, extraSpecs, alsoSpecs })
}
