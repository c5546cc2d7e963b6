// Make, get, list, change and delete groups.
import { sql } from "kysely"
import { Type } from "typebox"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, text } from "../../platform/noun/field.ts"
import { insertThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { deleteOf } from "../delete.ts"
import { domainNoun } from "../domain/domain.ts"
import { conflict, found, missingOf, notFound } from "../faults.ts"
import {
  asListed,
  descriptionField,
  everyone,
  extraField,
  find,
  foundFirst,
  idField,
  inDomain,
  nameField,
  ownDomainId,
  ruleFirst,
  sorts,
  withExtra,
} from "../read.ts"

export const groupNoun = noun({
  name: "identity.group",
  table: sql`identity."group"`,
  alias: "g",
  fields: {
    id: idField("g"),
    name: nameField("g"),
    /** Named in a change only to be refused when it differs. */
    domainId: text(sql`g.domain_id`, { create: true, update: true, filter: true }),
    description: descriptionField("g"),
    extra: extraField("g"),
  },
  order: sorts.byName,
  visible: inDomain(sql`g.domain_id`),
  ...missingOf("group"),
})

export type Group = Thing<typeof groupNoun>

export function groupTarget(group: Group | null) {
  return { group: group ? { id: group.id, domain_id: group.domainId } : undefined }
}

const target = (group: Group | null) => ({ target: groupTarget(group) })

function nameTaken(name: string | undefined) {
  return conflict("group", `Duplicate entry found with name ${name}`)
}

export const createGroup = operation({
  name: "identity.group.create",
  input: groupNoun.create,
  faults: [conflict],
  // Whoever may in one domain only has to name it.
  rule: "identity:create_group",
  target: (_ctx, { domainId }) => ({ target: { group: { domain_id: domainId ?? null } } }),
  run: async (ctx, { name, description, domainId = ownDomainId(ctx) ?? "", extra }): Promise<Group> => {
    if (!(await find(ctx.db, domainNoun, domainId))) throw notFound("domain", domainId)
    return await changeIdentity(ctx, async (tx) => {
      const id = newHexId()
      const facts = { id, name: name.trim(), domainId, description: description ?? "", extra }
      const group = await insertThing(tx, groupNoun, everyone, { values: columnsOf(facts) })
      if (!group) throw nameTaken(name)
      await announce(ctx, tx, "group", "created", id)
      return group
    })
  },
})

export const getGroup = getOf(groupNoun, { ...ruleFirst, rule: "identity:get_group", target })
export const listGroups = listOf(groupNoun, {
  ...asListed,
  rule: "identity:list_groups",
  about: ({ caller }) => ({ "target.group.domain_id": caller.domainId }),
})

export const updateGroup = operation({
  name: "identity.group.update",
  input: Type.Object({ id: Type.String(), changes: groupNoun.changes }),
  faults: [notFound, conflict],
  load: (ctx, { id }) => find(ctx.db, groupNoun, id),
  rule: "identity:update_group",
  target: (_ctx, _input, group) => target(group),
  run: async (ctx, { id, changes }, group): Promise<Group> => {
    const before = found(group, "group", id)
    if (changes.domainId !== undefined && changes.domainId !== before.domainId)
      throw invalid("domain_id", "Cannot change Domain ID.")
    return await changeOrConflict(
      ctx,
      () => nameTaken(changes.name),
      async (tx) => {
        const description = changes.description === null ? "" : changes.description
        const set = columnsOf(withExtra({ ...changes, name: changes.name?.trim(), description }))
        const after = await updateThing(tx, groupNoun, everyone, id, set)
        await announce(ctx, tx, "group", "updated", id)
        return found(after, "group", id)
      },
    )
  },
})

export const deleteGroup = deleteOf(groupNoun, {
  ...foundFirst,
  rule: "identity:delete_group",
  target,
  event: "group",
})
