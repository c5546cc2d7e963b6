// A volume in storage that several hosts reach becomes another host's although the one that has it does not answer.
// That is right under these conditions, and whoever calls sees to them, in the transaction that also says where the
// server is:
//
//   - no command reaches the host any more: it is silent, or an operator says that it is down. One that answers is
//     asked (`askWhetherFree`), as its word is better than this;
//   - from this transaction on the server is another host's, so the one before is told to start nothing of it, and to
//     end what still runs when it is back, before its machine of the server can be commanded again;
//   - nobody works for the volume: its status is `in-use`, and nothing is copied from it or to it.
//
// The generation is raised: what still carries the one before changes no row. What none of this can do is to keep a
// guest from writing that runs on where no command comes; the operator has ended it before (docs/how-to/add-a-host.md).
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { volumeElsewhere, volumeInvalid } from "../faults.ts"
import type { Place } from "../pool/place.ts"
import { placeInShare } from "../pool/share.ts"
import { checkLeavesPlace, handOverTo } from "./hand-over.ts"
import { lockVolume } from "./store.ts"
import type { Volume } from "./volume.ts"

export interface TakeOver {
  volumeId: string
  /** That had it, and does not answer. */
  from: string
  to: string
}

/** Nothing when it is the new host's already. Throws when that does not reach it, or somebody works for the volume. */
export async function takeOver(platform: Platform, tx: Tx, { volumeId, from, to }: TakeOver): Promise<void> {
  const volume = await lockVolume(tx, volumeId)
  if (volume?.host === to) return
  const { backend, ...taken } = takable(volume, { volumeId, from })
  const place = await placeInShare(platform, tx, { host: from, backend }, to)
  if (!place) throw volumeElsewhere(volumeId)
  await handOverTo(tx, { ...taken, backend }, place)
  await raiseGeneration(tx, volumeId)
}

/** Throws what `takeOver` would throw now, whatever the host that reaches it. */
export async function checkTakeOver(tx: Tx, which: Omit<TakeOver, "to">): Promise<void> {
  await checkLeavesPlace(tx, takable(await lockVolume(tx, which.volumeId), which))
}

function takable(volume: Volume | undefined, { volumeId, from }: Omit<TakeOver, "to">) {
  if (!volume || volume.host !== from || volume.backend === null) throw volumeElsewhere(volumeId)
  if (volume.status !== "in-use")
    throw volumeInvalid(`Volume ${volumeId} cannot come to another host now: it is ${volume.status}.`)
  return { ...volume, backend: volume.backend }
}

/**
 * Back to the host that it was taken from, whether that answers or not: no machine of the new host has it. Throws
 * `volumeElsewhere` when that one has no such storage any more.
 */
export async function giveBackTaken(tx: Tx, { volumeId, from, to }: TakeOver): Promise<void> {
  const volume = await lockVolume(tx, volumeId)
  if (!volume || volume.host !== to || volume.backend === null) return
  const place = await placeOfSilent(tx, { host: to, backend: volume.backend }, from)
  if (!place) throw volumeElsewhere(volumeId)
  await handOverTo(tx, volume, place)
  await raiseGeneration(tx, volumeId)
}

async function raiseGeneration(tx: Tx, volumeId: string): Promise<void> {
  await sql`update block_storage.volume set generation = generation + 1 where id = ${volumeId}`.execute(tx)
}

/** As `placeInShare`, of a host that need not answer. */
async function placeOfSilent(tx: Tx, { host, backend }: Place, wanted: string): Promise<Place | undefined> {
  const { rows } = await sql<Place>`select q.host, q.backend from block_storage.pool p
    join block_storage.pool q on q.share = p.share
    where p.host = ${host} and p.backend = ${backend} and q.host = ${wanted}
    order by q.backend <> ${backend}, q.backend limit 1`.execute(tx)
  return rows[0]
}
