// Make, get, list, change and delete groups.
import { sql } from "kysely"
import { Type } from "typebox"
import { jsonb } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { conflict, found, notFound } from "../faults.ts"
import { inOwnDomain, ListInput, listRows } from "../list.ts"
import { ownDomainId } from "../project/create.ts"
import { findDomain } from "../project/store.ts"
import type { Rows } from "../read.ts"
import { Extra, Id, ResourceName, Text } from "../shapes.ts"
import { findGroup, type GroupRow, groupList } from "./store.ts"

export function groupTarget(row: GroupRow | null) {
  return { group: row ? { id: row.id, domain_id: row.domain_id } : undefined }
}

function nameTaken(name: string | undefined) {
  return conflict("group", `Duplicate entry found with name ${name}`)
}

export const createGroup = operation({
  name: "identity.group.create",
  input: Type.Object({
    name: ResourceName,
    domainId: Type.Optional(Type.String()),
    description: Type.Optional(Text),
    extra: Type.Optional(Extra),
  }),
  faults: [conflict],
  // Whoever may in one domain only has to name it.
  rule: "identity:create_group",
  target: (_ctx, { domainId }) => ({ target: { group: { domain_id: domainId ?? null } } }),
  run: async (ctx, input): Promise<GroupRow> => {
    const domainId = input.domainId ?? ownDomainId(ctx) ?? ""
    if (!(await findDomain(ctx.db, domainId))) throw notFound("domain", domainId)
    return await changeOrConflict(
      ctx,
      () => nameTaken(input.name),
      async (tx) => {
        const row = await tx
          .insertInto("identity.group")
          .values({
            id: newHexId(),
            name: input.name.trim(),
            domain_id: domainId,
            description: input.description ?? "",
            extra: jsonb(input.extra ?? {}),
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        await announce(ctx, tx, "group", "created", row.id)
        return row
      },
    )
  },
})

export const getGroup = operation({
  name: "identity.group.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findGroup(ctx.db, id),
  rule: "identity:get_group",
  target: (_ctx, _input, row) => ({ target: groupTarget(row) }),
  run: async (_ctx, { id }, row) => found(row, "group", id),
})

export const listGroups = operation({
  name: "identity.group.list",
  input: ListInput,
  rule: "identity:list_groups",
  target: (ctx) => ({ "target.group.domain_id": ctx.caller.domainId }),
  run: async (ctx, input): Promise<Rows<GroupRow>> => await listRows(ctx, groupList, input, inOwnDomain(ctx)),
})

export const updateGroup = operation({
  name: "identity.group.update",
  input: Type.Object({
    id: Type.String(),
    name: Type.Optional(ResourceName),
    domainId: Type.Optional(Type.String()),
    description: Type.Optional(Text),
    extra: Type.Optional(Extra),
  }),
  faults: [notFound, conflict],
  load: (ctx, { id }) => findGroup(ctx.db, id),
  rule: "identity:update_group",
  target: (_ctx, _input, row) => ({ target: groupTarget(row) }),
  run: async (ctx, input, row): Promise<GroupRow> => {
    const before = found(row, "group", input.id)
    if (input.domainId !== undefined && input.domainId !== before.domain_id)
      throw invalid("domain_id", "Cannot change Domain ID.")
    return await changeOrConflict(
      ctx,
      () => nameTaken(input.name),
      async (tx) => {
        const after = await tx
          .updateTable("identity.group")
          .set({
            ...(input.name === undefined ? {} : { name: input.name.trim() }),
            ...(input.description === undefined ? {} : { description: input.description ?? "" }),
            // Merged by the database, so that two changes at once both stay.
            ...(input.extra === undefined ? {} : { extra: sql<never>`extra || ${jsonb(input.extra)}` }),
            id: before.id,
          })
          .where("id", "=", before.id)
          .returningAll()
          .executeTakeFirst()
        await announce(ctx, tx, "group", "updated", before.id)
        return found(after, "group", before.id)
      },
    )
  },
})

export const deleteGroup = operation({
  name: "identity.group.delete",
  input: Id,
  faults: [notFound],
  load: async (ctx, { id }) => found(await findGroup(ctx.db, id), "group", id),
  rule: "identity:delete_group",
  target: (_ctx, _input, row) => ({ target: groupTarget(row) }),
  run: async (ctx, { id }) => {
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.group").where("id", "=", id).execute()
      await announce(ctx, tx, "group", "deleted", id)
    })
  },
})
