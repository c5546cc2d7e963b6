import { sql } from "kysely"
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { found, notFound } from "../faults.ts"
import { type GroupRow, groupList } from "../group/store.ts"
import { inOwnDomain, ListInput, listRows } from "../list.ts"
import type { Rows } from "../read.ts"
import { listProjectsOfUser } from "../token/own-scopes.ts"
import { findUser } from "./store.ts"
import { userTarget } from "./user.ts"

export const listUserProjects = operation({
  name: "identity.user.list_projects",
  input: Type.Object({ userId: Type.String() }),
  faults: [notFound],
  load: (ctx, { userId }) => findUser(ctx.db, userId),
  rule: "identity:list_user_projects",
  target: (_ctx, _input, row) => userTarget(row),
  run: async (ctx, { userId }, row) => {
    found(row, "user", userId)
    return await listProjectsOfUser(ctx.db, userId)
  },
})

export const listUserGroups = operation({
  name: "identity.user.list_groups",
  input: Type.Object({ userId: Type.String(), ...ListInput.properties }),
  faults: [notFound],
  load: (ctx, { userId }) => findUser(ctx.db, userId),
  rule: "identity:list_groups_for_user",
  target: (_ctx, _input, row) => userTarget(row),
  run: async (ctx, { userId, ...list }, row): Promise<Rows<GroupRow>> => {
    found(row, "user", userId)
    const where = sql`id in (select group_id from identity.group_member where user_id = ${userId})`
    return await listRows(ctx, groupList, list, sql`${where} and ${inOwnDomain(ctx)}`)
  },
})
