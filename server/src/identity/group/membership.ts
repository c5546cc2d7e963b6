import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { ListQuery } from "../../platform/noun/list.ts"
import type { Listed } from "../../platform/noun/page.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { find, listRows } from "../read.ts"
import { type User, userNoun } from "../user/user.ts"
import { type Group, groupNoun, groupTarget } from "./group.ts"

const pair = Type.Object({ groupId: Type.String(), userId: Type.String() })

interface Pair {
  group: Group | null
  user: User | null
}

async function loadPair(ctx: Ctx, { groupId, userId }: { groupId: string; userId: string }): Promise<Pair> {
  return { group: await find(ctx.db, groupNoun, groupId), user: await find(ctx.db, userNoun, userId) }
}

function pairTarget({ group, user }: Pair) {
  return {
    target: { ...groupTarget(group), user: user ? { id: user.id, domain_id: user.domainId } : undefined },
  }
}

export const listGroupUsers = operation({
  name: "identity.group.list_users",
  input: Type.Object({ groupId: Type.String(), query: ListQuery }),
  faults: [notFound],
  load: (ctx, { groupId }) => find(ctx.db, groupNoun, groupId),
  rule: "identity:list_users_in_group",
  target: (_ctx, _input, row) => ({ target: groupTarget(row) }),
  run: async (ctx, { groupId, query }, row): Promise<Listed<User>> => {
    found(row, "group", groupId)
    const members = sql<boolean>`u.id in (
      select user_id from identity.group_member where group_id = ${groupId})`
    return await listRows(ctx, userNoun, query, members)
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
