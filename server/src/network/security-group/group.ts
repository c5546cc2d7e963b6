// Security groups: create, get, list, update, delete.

import { sql } from "kysely"
import { Type } from "typebox"
import { findProject } from "../../identity/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { type Filters, type ListQuery, loadThing } from "../../platform/noun/list.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import { isAdmin } from "../admin.ts"
import {
  defaultGroupExists,
  defaultGroupKept,
  defaultGroupUpdate,
  forbiddenProject,
  revisionMismatch,
  securityGroupInUse,
  securityGroupNotFound,
} from "../faults.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, lockRow, ownerOf, RevisionInput, updateRow } from "../resource/standard.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { ensureDefaultGroup, insertTemplateRules, prepareDefaultGroup } from "./default-group.ts"
import { readGroup, type SecurityGroup, securityGroupNoun, securityGroupTarget } from "./security-group.ts"

export async function loadSecurityGroup(
  db: DbOrTx,
  id: string,
  viewer: Viewer = everything,
): Promise<SecurityGroup> {
  return readGroup(await loadThing(db, securityGroupNoun, viewer, id))
}

/** Whose groups are listed: an administrator may name the project, and sees its default group then. */
async function listedProject(ctx: Ctx, asked: Filters[string] | undefined): Promise<string | null> {
  const [id, ...more] = asked ?? []
  const own = ctx.caller.projectId
  if (typeof id !== "string" || more.length > 0 || id === own || !viewerOf(ctx).seesAll) return own
  return (await findProject(ctx, id)) ? id : own
}

const asked = {
  viewer: viewerOf,
  rule: "get_security_group",
  target: securityGroupTarget,
  before: async (ctx: Ctx, { filters }: ListQuery) =>
    await prepareDefaultGroup(ctx, await listedProject(ctx, filters?.projectId)),
  read: readGroup,
}

export const getSecurityGroup = getOf(securityGroupNoun, asked)
export const listSecurityGroups = listOf(securityGroupNoun, asked)

const ruled = ruledFields(securityGroupNoun.fields, "write")

export const createSecurityGroups = operation({
  name: "network.security_group.create",
  input: Type.Object({ items: Type.Array(securityGroupNoun.create) }),
  faults: [defaultGroupExists, forbiddenProject],
  rules: ["create_security_group"],
  authorize: (ctx, { items }) =>
    items.flatMap((input) => {
      const target = securityGroupTarget({ projectId: ownerOf(ctx, input.projectId), shared: false })
      return [
        ["create_security_group", target] as const,
        ...attributeRules("create_security_group", target, input, ruled),
      ]
    }),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const owners = items.map((input) => ownerOf(ctx, input.projectId))
      for (const owner of new Set(owners)) await ensureDefaultGroup(tx, owner)
      const made: SecurityGroup[] = []
      for (const input of items) {
        const projectId = ownerOf(ctx, input.projectId)
        if (input.name?.toLowerCase() === "default") throw defaultGroupExists()
        const id = newUuid()
        await tx
          .insertInto("network.security_group")
          .values({
            id,
            project_id: projectId,
            name: input.name ?? "",
            description: input.description ?? "",
            is_stateful: input.stateful ?? true,
            tags: [...new Set(input.tags ?? [])],
          })
          .execute()
        await insertTemplateRules(tx, id, projectId, false)
        noteChanged(tx, { securityGroups: [id] })
        made.push(await loadSecurityGroup(tx, id))
      }
      await notify(ctx, tx, "security_group", "create", made)
      // Each begins with rules.
      const add = { security_group: 1, security_group_rule: 1 }
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, add))
      return made
    }),
})

export const updateSecurityGroup = operation({
  name: "network.security_group.update",
  input: Type.Object({
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: securityGroupNoun.changes,
  }),
  faults: [
    securityGroupNotFound,
    defaultGroupUpdate,
    defaultGroupExists,
    securityGroupInUse,
    revisionMismatch,
  ],
  load: (ctx, { id }) => loadSecurityGroup(ctx.db, id, viewerOf(ctx)),
  rule: "update_security_group",
  target: (_ctx, _input, group) => securityGroupTarget(group),
  run: async (ctx, { id: securityGroupId, expectedRevision, changes }, group) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "securityGroup", securityGroupId, securityGroupNotFound, expectedRevision)
      if (group.isDefault && changes.name !== undefined && changes.name !== group.name)
        throw defaultGroupUpdate()
      if (!group.isDefault && changes.name?.toLowerCase() === "default") throw defaultGroupExists()
      if (changes.stateful !== undefined && changes.stateful !== group.stateful) {
        const { rows } = await sql`select from network.port_security_group
          where security_group_id = ${securityGroupId} limit 1`.execute(tx)
        if (rows.length > 0) throw securityGroupInUse(securityGroupId)
      }
      await updateRow(tx, "securityGroup", securityGroupId, {
        name: changes.name,
        description: changes.description,
        is_stateful: changes.stateful,
      })
      const changed = await loadSecurityGroup(tx, securityGroupId, { ...viewerOf(ctx), seesAll: true })
      await notify(ctx, tx, "security_group", "update", [changed])
      return changed
    }),
})

export const deleteSecurityGroup = operation({
  name: "network.security_group.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [securityGroupNotFound, securityGroupInUse, defaultGroupKept, revisionMismatch],
  load: (ctx, { id }) => loadSecurityGroup(ctx.db, id, viewerOf(ctx)),
  rule: "delete_security_group",
  target: (_ctx, _input, group) => securityGroupTarget(group),
  run: async (ctx, { id: securityGroupId, expectedRevision }, group) => {
    if (group.isDefault && !isAdmin(ctx)) throw defaultGroupKept()
    try {
      await change(ctx, async (tx) => {
        await lockRow(tx, "securityGroup", securityGroupId, securityGroupNotFound, expectedRevision)
        await sql`delete from network.rbac_policy where object_id = ${securityGroupId}`.execute(tx)
        // Rules of other groups that name it go with it.
        const { rows } = await sql<{ id: string }>`delete from network.security_group_rule
          where remote_group_id = ${securityGroupId} returning security_group_id as id`.execute(tx)
        await sql`delete from network.security_group where id = ${securityGroupId}`.execute(tx)
        noteChanged(tx, { securityGroups: rows.map((row) => row.id) })
        await notify(ctx, tx, "security_group", "delete", [group])
      })
    } catch (error) {
      // A port has it: the foreign key says so.
      if (violatedConstraint(error)) throw securityGroupInUse(securityGroupId)
      throw error
    }
  },
})
