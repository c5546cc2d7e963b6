// Get and list users, and what a user has.
import { sql } from "kysely"
import { Type } from "typebox"
import { ListQuery } from "../../platform/noun/list.ts"
import type { Listed } from "../../platform/noun/page.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { found, notFound } from "../faults.ts"
import { type Group, groupNoun } from "../group/group.ts"
import { asListed, find, listRows, ruleFirst } from "../read.ts"
import { listProjectsOfUser } from "../token/own-scopes.ts"
import { userNoun, userTarget } from "./user.ts"

/** A name that is not known is its own user to nobody: 403 for all but administrators. */
export const getUser = getOf(userNoun, { ...ruleFirst, rule: "identity:get_user", target: userTarget })
export const listUsers = listOf(userNoun, {
  ...asListed,
  rule: "identity:list_users",
  about: ({ caller }) => ({ "target.domain_id": caller.domainId }),
})

export const listUserProjects = operation({
  name: "identity.user.list_projects",
  input: Type.Object({ userId: Type.String() }),
  faults: [notFound],
  load: (ctx, { userId }) => find(ctx.db, userNoun, userId),
  rule: "identity:list_user_projects",
  target: (_ctx, _input, user) => userTarget(user),
  run: async (ctx, { userId }, user) => {
    found(user, "user", userId)
    return await listProjectsOfUser(ctx.db, userId)
  },
})

export const listUserGroups = operation({
  name: "identity.user.list_groups",
  input: Type.Object({ userId: Type.String(), query: ListQuery }),
  faults: [notFound],
  load: (ctx, { userId }) => find(ctx.db, userNoun, userId),
  rule: "identity:list_groups_for_user",
  target: (_ctx, _input, user) => userTarget(user),
  run: async (ctx, { userId, query }, user): Promise<Listed<Group>> => {
    found(user, "user", userId)
    const own = sql<boolean>`g.id in (select group_id from identity.group_member where user_id = ${userId})`
    return await listRows(ctx, groupNoun, query, own)
  },
})
