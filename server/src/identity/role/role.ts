// Make, get, list, change and delete roles.
import { sql } from "kysely"
import { Type } from "typebox"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, nullable, text } from "../../platform/noun/field.ts"
import { insertThing, ListQuery, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import type { Listed } from "../../platform/noun/page.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { domainNoun } from "../domain/domain.ts"
import { conflict, forbidden, found, missingOf, notFound } from "../faults.ts"
import { changeOptions, refuseImmutable, roleOptions } from "../options.ts"
import {
  equalOf,
  everyone,
  extraField,
  find,
  idField,
  listRows,
  lock,
  nameField,
  optionsField,
  sorts,
  textField,
  withExtra,
} from "../read.ts"
import { Id } from "../shapes.ts"

export const roleNoun = noun({
  name: "identity.role",
  table: sql`identity.role`,
  alias: "r",
  fields: {
    id: idField("r"),
    name: nameField("r"),
    /** Null for a role that counts everywhere. Named in a change only to be refused when it differs. */
    domainId: nullable(text(sql`r.domain_id`, { create: true, update: true, filter: true })),
    description: textField(sql`r.description`),
    options: optionsField("r"),
    extra: extraField("r"),
  },
  order: sorts.byName,
  visible: () => visibleToAll,
  ...missingOf("role"),
})

export type Role = Thing<typeof roleNoun>

export function roleTarget(role: Role | null) {
  return { role: role ? { id: role.id, name: role.name, domain_id: role.domainId } : undefined }
}

function ruleFor(verb: string, role: { domainId: string | null } | null): string {
  return role?.domainId ? `identity:${verb}_domain_role` : `identity:${verb}_role`
}

const rulesFor = (verb: string) => [`identity:${verb}_role`, `identity:${verb}_domain_role`]

function nameTaken(name: string | undefined) {
  return conflict("role", `Duplicate entry found with name ${name}`)
}

export const createRole = operation({
  name: "identity.role.create",
  input: roleNoun.create,
  faults: [conflict],
  rules: rulesFor("create"),
  authorize: (_ctx, { domainId }) => [[ruleFor("create", { domainId: domainId ?? null }), {}]],
  run: async (ctx, input): Promise<Role> => {
    const { domainId } = input
    if (domainId && !(await find(ctx.db, domainNoun, domainId))) throw notFound("domain", domainId)
    return await changeIdentity(ctx, async (tx) => {
      const id = newHexId()
      const options = changeOptions(roleOptions, {}, input.options)
      const values = columnsOf({ ...input, id, name: input.name.trim(), options })
      const role = await insertThing(tx, roleNoun, everyone, { values })
      if (!role) throw nameTaken(input.name)
      await announce(ctx, tx, "role", "created", id)
      return role
    })
  },
})

export const getRole = operation({
  name: "identity.role.get",
  input: Id,
  faults: [notFound],
  load: async (ctx, { id }) => found(await find(ctx.db, roleNoun, id), "role", id),
  rules: rulesFor("get"),
  authorize: (_ctx, _input, role) => [[ruleFor("get", role), { target: roleTarget(role) }]],
  run: async (_ctx, _input, role) => role,
})

/** Without a domain: the roles that count everywhere. */
export const listRoles = operation({
  name: "identity.role.list",
  input: ListQuery,
  rules: ["identity:list_roles", "identity:list_domain_roles"],
  load: async (_ctx, query) => equalOf(query, "domainId"),
  authorize: (_ctx, _query, domainId) => [
    [domainId ? "identity:list_domain_roles" : "identity:list_roles", {}],
  ],
  run: async (
    ctx,
    { filters: { domainId: _, ...others } = {}, page = {} },
    domainId,
  ): Promise<Listed<Role>> => {
    const within = domainId ? sql<boolean>`r.domain_id = ${domainId}` : sql<boolean>`r.domain_id is null`
    return await listRows(ctx, roleNoun, { filters: others, page }, within)
  },
})

export const updateRole = operation({
  name: "identity.role.update",
  input: Type.Object({ id: Type.String(), changes: roleNoun.changes }),
  faults: [notFound, conflict],
  load: async (ctx, { id }) => found(await find(ctx.db, roleNoun, id), "role", id),
  rules: rulesFor("update"),
  authorize: (_ctx, _input, role) => [[ruleFor("update", role), { target: roleTarget(role) }]],
  run: async (ctx, { id, changes }): Promise<Role> =>
    await changeOrConflict(
      ctx,
      () => nameTaken(changes.name),
      async (tx) => {
        const before = found(await lock(tx, roleNoun, id), "role", id)
        if (changes.domainId !== undefined && changes.domainId !== before.domainId)
          throw invalid("domain_id", "Cannot change Domain ID.")
        refuseImmutable("role", before, "update", changes.options)
        const options = changeOptions(roleOptions, before.options, changes.options)
        const set = columnsOf(withExtra({ ...changes, name: changes.name?.trim(), options }))
        const after = await updateThing(tx, roleNoun, everyone, id, set)
        await announce(ctx, tx, "role", "updated", id)
        return found(after, "role", id)
      },
    ),
})

export const deleteRole = operation({
  name: "identity.role.delete",
  input: Id,
  faults: [notFound, forbidden],
  load: async (ctx, { id }) => found(await find(ctx.db, roleNoun, id), "role", id),
  rules: rulesFor("delete"),
  authorize: (_ctx, _input, role) => [[ruleFor("delete", role), { target: roleTarget(role) }]],
  run: async (ctx, { id }, role) => {
    refuseImmutable("role", role, "delete")
    await changeIdentity(ctx, async (tx) => {
      // Application credentials without one of their roles are no longer what their user agreed to.
      await sql`delete from identity.application_credential where id in (
        select application_credential_id from identity.application_credential_role where role_id = ${id})`.execute(
        tx,
      )
      await sql`update identity.trust set deleted_at = now() where deleted_at is null and id in (
        select trust_id from identity.trust_role where role_id = ${id})`.execute(tx)
      await tx.deleteFrom("identity.role").where("id", "=", id).execute()
      await announce(ctx, tx, "role", "deleted", id)
    })
  },
})
