// Operators move a volume to the back end that they name.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { hostInvalid, noValidBackend, volumeInvalid, volumeNotFound } from "../faults.ts"
import type { Place } from "../pool/place.ts"
import { isPoolUp, poolNoun } from "../pool/pool.ts"
import { isPlaceReachable } from "../pool/reachable.ts"
import { isSameShare } from "../pool/share.ts"
import { targetOf } from "../viewer.ts"
import { askWhetherFree } from "./hand-over.ts"
import { beginMove } from "./move.ts"
import { visibleVolume } from "./read.ts"
import { selectVolume } from "./store.ts"
import { claimVolume } from "./task.ts"

export const migrateVolume = operation({
  name: "block_storage.volume.migrate",
  input: Type.Object({
    id: Type.String(),
    /** `host@backend`, or with `#pool`. */
    host: Type.String({ maxLength: 255 }),
    isLocked: Type.Boolean(),
  }),
  faults: [volumeNotFound, volumeInvalid, hostInvalid, noValidBackend],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_admin_actions:migrate_volume",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, host, isLocked }) => {
    const to = await findTarget(ctx, host)
    await askOldHost(ctx, id, to)
    await transact(ctx.db, async (tx) => {
      const claimed = await claimVolume(tx, id, "migrate")
      if (claimed.host === to.host && claimed.backend === to.backend)
        throw volumeInvalid(`Volume ${id} is there already: the destination must be another than ${host}.`)
      await beginMove(ctx, tx, claimed, {
        ...{ event: "migrate", volumeTypeId: null, isLocked, to },
        isMultiattach: claimed.isMultiattach,
      })
    })
  },
})

/**
 * Of what lies there already, as another host's. Whether a machine of that one still has it is asked where it answers;
 * that one which does not is off, is the administrator's word.
 */
async function askOldHost(ctx: Ctx, id: string, to: Place): Promise<void> {
  const volume = await selectVolume(ctx.db, id)
  // Any other one does not leave its host.
  if (volume?.status !== "available" || volume.host === null || volume.backend === null) return
  const from = { host: volume.host, backend: volume.backend }
  if (!(await isSameShare(ctx.db, from, to)) || !(await isPlaceReachable(ctx, from))) return
  await askWhetherFree(ctx, id, to.host)
}

async function findTarget(ctx: Ctx, name: string): Promise<Place> {
  const pool = await findThing(ctx.db, poolNoun, undefined as never, name.replace(/#.*$/, ""))
  const isServed = pool && !pool.isDisabled
  if (!isServed || !isPoolUp(pool, ctx.clock.now(), ctx.config.blockStorage.poolDownAfterMs))
    throw hostInvalid(`No available service named '${name}'.`)
  return { host: pool.host, backend: pool.backend }
}
