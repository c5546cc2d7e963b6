import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { inOwnDomain, ListInput, listRows } from "../list.ts"
import type { Rows } from "../read.ts"
import { findUser, type UserRow, userList } from "../user/store.ts"
import { groupTarget } from "./group.ts"
import { findGroup, type GroupRow } from "./store.ts"

const pair = Type.Object({ groupId: Type.String(), userId: Type.String() })

interface Pair {
  group: GroupRow | null
  user: UserRow | null
}

async function loadPair(ctx: Ctx, { groupId, userId }: { groupId: string; userId: string }): Promise<Pair> {
  return { group: await findGroup(ctx.db, groupId), user: await findUser(ctx.db, userId) }
}

function pairTarget({ group, user }: Pair) {
  return {
    target: { ...groupTarget(group), user: user ? { id: user.id, domain_id: user.domain_id } : undefined },
  }
}

export const listGroupUsers = operation({
  name: "identity.group.list_users",
  input: Type.Object({ groupId: Type.String(), ...ListInput.properties }),
  faults: [notFound],
  load: (ctx, { groupId }) => findGroup(ctx.db, groupId),
  rule: "identity:list_users_in_group",
  target: (_ctx, _input, row) => ({ target: groupTarget(row) }),
  run: async (ctx, { groupId, ...list }, row): Promise<Rows<UserRow>> => {
    found(row, "group", groupId)
    const where = sql`id in (select user_id from identity.group_member where group_id = ${groupId})`
    return await listRows(ctx, userList, list, sql`${where} and ${inOwnDomain(ctx)}`)
  },
})

export const addGroupUser = operation({
  name: "identity.group.add_user",
  input: pair,
  faults: [notFound],
  load: loadPair,
  rule: "identity:add_user_to_group",
  target: (_ctx, _input, loaded) => pairTarget(loaded),
  run: async (ctx, { groupId, userId }, { group, user }) => {
    found(group, "group", groupId)
    found(user, "user", userId)
    await changeIdentity(ctx, async (tx) => {
      await tx
        .insertInto("identity.group_member")
        .values({ group_id: groupId, user_id: userId })
        .onConflict((oc) => oc.doNothing())
        .execute()
      const actor = { id: userId, type: "user", operation: "added" } as const
      await announce(ctx, tx, "group", "updated", groupId, actor)
    })
  },
})

export const checkGroupUser = operation({
  name: "identity.group.check_user",
  input: pair,
  faults: [notFound],
  load: loadPair,
  rule: "identity:check_user_in_group",
  target: (_ctx, _input, loaded) => pairTarget(loaded),
  run: async (ctx, { groupId, userId }, { group, user }) => {
    found(group, "group", groupId)
    found(user, "user", userId)
    const row = await ctx.db
      .selectFrom("identity.group_member")
      .select("user_id")
      .where("group_id", "=", groupId)
      .where("user_id", "=", userId)
      .executeTakeFirst()
    if (!row) throw notFound("user", `${userId} in group ${groupId}`)
  },
})

export const removeGroupUser = operation({
  name: "identity.group.remove_user",
  input: pair,
  faults: [notFound],
  load: loadPair,
  rule: "identity:remove_user_from_group",
  target: (_ctx, _input, loaded) => pairTarget(loaded),
  run: async (ctx, { groupId, userId }, { group, user }) => {
    found(group, "group", groupId)
    found(user, "user", userId)
    await changeIdentity(ctx, async (tx) => {
      const gone = await tx
        .deleteFrom("identity.group_member")
        .where("group_id", "=", groupId)
        .where("user_id", "=", userId)
        .returning("user_id")
        .execute()
      if (gone.length === 0) throw notFound("user", `${userId} in group ${groupId}`)
      const actor = { id: userId, type: "user", operation: "removed" } as const
      await announce(ctx, tx, "group", "updated", groupId, actor)
    })
  },
})
