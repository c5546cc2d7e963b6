// Whether copies of a group's volumes can be of one moment, and the command that makes them.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { callAgent } from "../agent-call.ts"
import { groupTypeNoun, isConsistent } from "../group-type/group-type.ts"
import { gib, type Place } from "../pool/place.ts"
import { poolNoun } from "../pool/pool.ts"
import { everything } from "../viewer.ts"
import { groupInvalid } from "./faults.ts"
import type { Group } from "./group.ts"

/** Whether its type asks for that. Throws when it does and that cannot be. */
export async function asksOneMoment(
  tx: Tx,
  { id, groupTypeId, host, backend }: Group,
  volumeIds: readonly string[],
): Promise<boolean> {
  const type = await findThing(tx, groupTypeNoun, everything, groupTypeId)
  if (!type || !isConsistent(type.groupSpecs)) return false
  // Of a type that has begun to ask for it after the group was made.
  const pool = await findThing(tx, poolNoun, undefined as never, `${host}@${backend}`)
  if (!pool?.abilities.consistentGroups)
    throw groupInvalid(`the back end of group ${id} does not copy volumes as they are at one moment.`)
  const { rows } = await sql<{ servers: number }>`select count(distinct server_id)::int as servers
    from block_storage.attachment where volume_id = any(${volumeIds}::uuid[]) and is_of_server`.execute(tx)
  if ((rows[0]?.servers ?? 0) > 1)
    throw groupInvalid(
      `volumes of group ${id} are in several servers, which cannot be halted at one moment; detach those of all but one.`,
    )
  return true
}

export interface Copy {
  id: string
  fromId: string
  sizeGib: number
  generation: number
}

/** In one command when they must be of one moment, otherwise one after the other. Repeatable. */
export async function copyVolumes(
  platform: Platform,
  { host, backend }: Place,
  { copies, isOfOneMoment }: { copies: readonly Copy[]; isOfOneMoment: boolean },
  { fence, signal }: { fence: number; signal: AbortSignal },
): Promise<void> {
  const wanted = copies.map(({ id: volumeId, fromId: fromVolumeId, sizeGib, generation }) => {
    return { volumeId, fromVolumeId, sizeBytes: sizeGib * gib, fence: { generation, fence } }
  })
  if (isOfOneMoment) {
    await callAgent(platform, host, "volume.create_together", { backend, volumes: wanted }, { signal })
    return
  }
  for (const { fromVolumeId: volumeId, ...one } of wanted) {
    const source = { kind: "volume", volumeId } as const
    await callAgent(platform, host, "volume.create", { ...one, backend, source }, { signal })
  }
}
