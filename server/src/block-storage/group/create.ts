import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { enforceQuotaOfMade, quotaExceeded } from "../../quota/index.ts"
import { inputInvalid, volumeTypeNotFound } from "../faults.ts"
import { consistencyGroupType } from "../group-type/group-type.ts"
import { findGroupType, typeOfConsistencyGroups } from "../group-type/read.ts"
import { blockStorageQuota } from "../quota/resources.ts"
import { everything } from "../viewer.ts"
import { checkZone } from "../volume/create.ts"
import { actorOf } from "../volume/task.ts"
import { findVolumeType } from "../volume-type/choose.ts"
import { createGroupSaga } from "./create.saga.ts"
import { groupInvalid, groupNotFound, groupTypeInvalid, groupTypeNotFound } from "./faults.ts"
import { type Group, groupNoun } from "./group.ts"
import { notifyGroup } from "./notification.ts"
import { selectGroup } from "./store.ts"

const nullableText = Type.Union([Type.String({ maxLength: 255 }), Type.Null()])

export const createGroup = operation({
  name: "block_storage.group.create",
  input: Type.Object({
    name: nullableText,
    description: nullableText,
    /** Id or name; null: what the older calls make. */
    groupType: nullableText,
    /** Ids or names. */
    volumeTypes: Type.Array(Type.String(), { minItems: 1, maxItems: 256 }),
    availabilityZone: nullableText,
  }),
  faults: [
    inputInvalid,
    groupTypeNotFound,
    groupTypeInvalid,
    groupInvalid,
    volumeTypeNotFound,
    quotaExceeded,
  ],
  rule: "group:create",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, input) => {
    const { projectId, userId } = ctx.caller
    if (!projectId) throw inputInvalid("a group needs a project: use a token with project scope.")
    checkZone(ctx, input.availabilityZone)
    const groupTypeId = await chooseType(ctx, input.groupType)
    const types: string[] = []
    for (const named of input.volumeTypes) types.push((await findVolumeType(ctx, named)).id)
    return await transact(ctx.db, async (tx) => {
      const { name, description } = input
      const made = await insertGroup(ctx, tx, {
        ...{ projectId, userId, name, description, groupTypeId },
        volumeTypeIds: [...new Set(types)],
      })
      const actor = actorOf(ctx)
      const params = { groupId: made.id, generation: made.generation, ...actor }
      await ctx.sagas.start(tx, createGroupSaga, params, { requestId: ctx.requestId, resourceId: made.id })
      await enforceQuotaOfMade(ctx, tx, blockStorageQuota, { projectId, add: { groups: 1 } })
      return made
    })
  },
})

async function chooseType(ctx: Ctx, named: string | null): Promise<string> {
  if (named === null) {
    const type = await typeOfConsistencyGroups(ctx)
    if (type) return type.id
    throw groupInvalid(
      `Group type ${consistencyGroupType} not found; an administrator makes one of that name.`,
    )
  }
  const type = await findGroupType(ctx, named)
  if (type.name === consistencyGroupType)
    throw groupTypeInvalid(`${type.id} is reserved for consistency groups, which have calls of their own.`)
  return type.id
}

export interface NewGroup {
  projectId: string
  userId: string
  name: string | null
  description: string | null
  groupTypeId: string
  volumeTypeIds: readonly string[]
  host?: string
  backend?: string
  groupSnapshotId?: string
  sourceGroupId?: string
}

/** The row, its types and the event. The caller begins what goes on, and looks at the quota. */
export async function insertGroup(ctx: Ctx, tx: Tx, group: NewGroup): Promise<Group> {
  const { groupTypeId, volumeTypeIds } = group
  // They stay until this transaction ends, and then they are in use.
  const { rows: there } = await sql<{ id: string }>`select id from block_storage.volume_type
    where id = any(${volumeTypeIds}::uuid[]) order by id for key share`.execute(tx)
  const missing = volumeTypeIds.find((id) => !there.some((type) => type.id === id))
  if (missing !== undefined) throw volumeTypeNotFound(missing)
  const { rows } =
    await sql`select from block_storage.group_type where id = ${groupTypeId} for key share`.execute(tx)
  if (rows.length === 0) throw groupTypeNotFound(groupTypeId)
  const id = newUuid()
  await insertThing(tx, groupNoun, everything, {
    values: {
      id,
      project_id: group.projectId,
      user_id: group.userId,
      name: group.name,
      description: group.description,
      status: "creating",
      group_type_id: groupTypeId,
      availability_zone: ctx.config.blockStorage.availabilityZone,
      host: group.host,
      backend: group.backend,
      group_snapshot_id: group.groupSnapshotId,
      source_group_id: group.sourceGroupId,
      created_at: ctx.clock.now(),
    },
  })
  for (const typeId of volumeTypeIds)
    await tx
      .insertInto("block_storage.group_volume_type")
      .values({ group_id: id, volume_type_id: typeId })
      .execute()
  const made = await selectGroup(tx, id)
  if (!made) throw groupNotFound(id)
  await notifyGroup(ctx, tx, made, "create.start", actorOf(ctx))
  return made
}
