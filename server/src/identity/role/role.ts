// Make, get, list, change and delete roles. Those of a single domain have rules of their own.
import { sql } from "kysely"
import { Type } from "typebox"
import { jsonb } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { conflict, forbidden, found, notFound } from "../faults.ts"
import { ListInput, listRows } from "../list.ts"
import { changeOptions, refuseImmutable, roleOptions } from "../options.ts"
import { findDomain } from "../project/store.ts"
import type { Rows } from "../read.ts"
import { Extra, Id, Options, ResourceName, Text } from "../shapes.ts"
import { findRole, type RoleRow, roleList } from "./store.ts"

export function roleTarget(row: RoleRow | null) {
  return { role: row ? { id: row.id, name: row.name, domain_id: row.domain_id } : undefined }
}

function ruleFor(verb: string, row: { domain_id: string | null } | null): string {
  return row?.domain_id ? `identity:${verb}_domain_role` : `identity:${verb}_role`
}

const rulesFor = (verb: string) => [`identity:${verb}_role`, `identity:${verb}_domain_role`]

function nameTaken(name: string | undefined) {
  return conflict("role", `Duplicate entry found with name ${name}`)
}

export const createRole = operation({
  name: "identity.role.create",
  input: Type.Object({
    name: ResourceName,
    domainId: Type.Optional(Text),
    description: Type.Optional(Text),
    options: Type.Optional(Options),
    extra: Type.Optional(Extra),
  }),
  faults: [conflict],
  rules: rulesFor("create"),
  authorize: (_ctx, { domainId }) => [[ruleFor("create", { domain_id: domainId ?? null }), {}]],
  run: async (ctx, input): Promise<RoleRow> => {
    const { domainId } = input
    if (domainId && !(await findDomain(ctx.db, domainId))) throw notFound("domain", domainId)
    return await changeOrConflict(
      ctx,
      () => nameTaken(input.name),
      async (tx) => {
        const row = await tx
          .insertInto("identity.role")
          .values({
            id: newHexId(),
            name: input.name.trim(),
            domain_id: domainId ?? null,
            description: input.description ?? null,
            options: jsonb(changeOptions(roleOptions, {}, input.options)),
            extra: jsonb(input.extra ?? {}),
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        await announce(ctx, tx, "role", "created", row.id)
        return row
      },
    )
  },
})

export const getRole = operation({
  name: "identity.role.get",
  input: Id,
  faults: [notFound],
  load: async (ctx, { id }) => found(await findRole(ctx.db, id), "role", id),
  rules: rulesFor("get"),
  authorize: (_ctx, _input, row) => [[ruleFor("get", row), { target: roleTarget(row) }]],
  run: async (_ctx, _input, row) => row,
})

/** Without a domain: the roles that count everywhere. */
export const listRoles = operation({
  name: "identity.role.list",
  input: Type.Object({ ...ListInput.properties, domainId: Type.Optional(Text) }),
  rules: ["identity:list_roles", "identity:list_domain_roles"],
  authorize: (_ctx, { domainId }) => [[domainId ? "identity:list_domain_roles" : "identity:list_roles", {}]],
  run: async (ctx, { domainId, ...list }): Promise<Rows<RoleRow>> =>
    await listRows(ctx, roleList, list, domainId ? sql`domain_id = ${domainId}` : sql`domain_id is null`),
})

export const updateRole = operation({
  name: "identity.role.update",
  input: Type.Object({
    id: Type.String(),
    name: Type.Optional(ResourceName),
    domainId: Type.Optional(Text),
    description: Type.Optional(Text),
    options: Type.Optional(Options),
    extra: Type.Optional(Extra),
  }),
  faults: [notFound, conflict],
  load: async (ctx, { id }) => found(await findRole(ctx.db, id), "role", id),
  rules: rulesFor("update"),
  authorize: (_ctx, _input, row) => [[ruleFor("update", row), { target: roleTarget(row) }]],
  run: async (ctx, input): Promise<RoleRow> =>
    await changeOrConflict(
      ctx,
      () => nameTaken(input.name),
      async (tx) => {
        const before = found(
          await tx
            .selectFrom("identity.role")
            .selectAll()
            .where("id", "=", input.id)
            .forUpdate()
            .executeTakeFirst(),
          "role",
          input.id,
        )
        if (input.domainId !== undefined && input.domainId !== before.domain_id)
          throw invalid("domain_id", "Cannot change Domain ID.")
        refuseImmutable("role", before, "update", input.options)
        const after = await tx
          .updateTable("identity.role")
          .set({
            name: input.name?.trim() ?? before.name,
            description: input.description === undefined ? before.description : input.description,
            options: jsonb(changeOptions(roleOptions, before.options, input.options)),
            extra: jsonb({ ...before.extra, ...input.extra }),
          })
          .where("id", "=", before.id)
          .returningAll()
          .executeTakeFirstOrThrow()
        await announce(ctx, tx, "role", "updated", before.id)
        return after
      },
    ),
})

export const deleteRole = operation({
  name: "identity.role.delete",
  input: Id,
  faults: [notFound, forbidden],
  load: async (ctx, { id }) => found(await findRole(ctx.db, id), "role", id),
  rules: rulesFor("delete"),
  authorize: (_ctx, _input, row) => [[ruleFor("delete", row), { target: roleTarget(row) }]],
  run: async (ctx, { id }, row) => {
    refuseImmutable("role", row, "delete")
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
