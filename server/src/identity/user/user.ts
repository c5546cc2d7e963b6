// Make, get, list, change and delete users.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { conflict, found, notFound } from "../faults.ts"
import { inOwnDomain, ListInput, listRows } from "../list.ts"
import { changeOptions, userOptions } from "../options.ts"
import { checkPasswordForm, replacePassword } from "../password/rules.ts"
import { ownDomainId } from "../project/create.ts"
import { findDomain, findPlace } from "../project/store.ts"
import type { Rows } from "../read.ts"
import { Extra, Id, Options, ResourceName, Text } from "../shapes.ts"
import { revokeUserTokens } from "../token/revoke.ts"
import { findUser, lockUser, type UserRow, userList } from "./store.ts"

export function userTarget(row: { id: string; domain_id: string } | null) {
  return {
    user_id: row?.id,
    target: { user: row ? { id: row.id, domain_id: row.domain_id } : undefined },
  }
}

const facts = {
  defaultProjectId: Type.Optional(Text),
  isEnabled: Type.Optional(Type.Boolean()),
  password: Type.Optional(Text),
  options: Type.Optional(Options),
  extra: Type.Optional(Extra),
}

function nameTaken(name: string | undefined) {
  return conflict("user", `Duplicate entry found with name ${name} at domain ID`)
}

async function hashNew(ctx: Ctx, password: string | null | undefined): Promise<string | null> {
  if (password === null || password === undefined) return null
  checkPasswordForm(ctx, password)
  return await ctx.drivers.identity.hasher.hash(password)
}

export const createUser = operation({
  name: "identity.user.create",
  input: Type.Object({ name: ResourceName, domainId: Type.Optional(Type.String()), ...facts }),
  faults: [conflict],
  // Whoever may in one domain only has to name it.
  rule: "identity:create_user",
  target: (_ctx, { domainId }) => ({ target: { user: { domain_id: domainId ?? null } } }),
  run: async (ctx, input): Promise<UserRow> => {
    const domainId = input.domainId ?? ownDomainId(ctx) ?? ""
    if (!(await findDomain(ctx.db, domainId))) throw notFound("domain", domainId)
    await checkDefaultProject(ctx, input.defaultProjectId)
    const options = changeOptions(userOptions, {}, input.options)
    const hash = await hashNew(ctx, input.password)
    const id = newHexId()
    return await changeOrConflict(
      ctx,
      () => nameTaken(input.name),
      async (tx) => {
        await tx
          .insertInto("identity.user")
          .values({
            id,
            name: input.name.trim(),
            domain_id: domainId,
            is_enabled: input.isEnabled ?? true,
            default_project_id: input.defaultProjectId ?? null,
            options: jsonb(options),
            extra: jsonb(input.extra ?? {}),
          })
          .execute()
        if (hash !== null) await replacePassword(ctx, tx, { id, options }, hash, false)
        await announce(ctx, tx, "user", "created", id)
        return found(await findUser(tx, id), "user", id)
      },
    )
  },
})

/** A default project may be unknown (tokens are then unscoped), but it may not be a domain. */
async function checkDefaultProject(ctx: Ctx, id: string | null | undefined): Promise<void> {
  if (!id) return
  const place = await findPlace(ctx.db, id)
  if (place?.is_domain)
    throw invalid("default_project_id", "User's default project ID cannot be a domain ID.")
}

export const getUser = operation({
  name: "identity.user.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findUser(ctx.db, id),
  // A name that is not known is its own user to nobody: 403 for all but administrators.
  rule: "identity:get_user",
  target: (_ctx, _input, row) => userTarget(row),
  run: async (_ctx, { id }, row) => found(row, "user", id),
})

const timeOperators = { lt: "<", lte: "<=", gt: ">", gte: ">=", eq: "=", neq: "<>" } as const

export const listUsers = operation({
  name: "identity.user.list",
  input: Type.Object({
    ...ListInput.properties,
    passwordExpires: Type.Optional(
      Type.Array(
        Type.Object({
          operator: Type.Unsafe<keyof typeof timeOperators>({
            type: "string",
            enum: Object.keys(timeOperators),
          }),
          time: Type.String(),
        }),
      ),
    ),
  }),
  rule: "identity:list_users",
  target: (ctx) => ({ "target.domain_id": ctx.caller.domainId }),
  run: async (ctx, input): Promise<Rows<UserRow>> => {
    const where = [
      inOwnDomain(ctx),
      ...(input.passwordExpires ?? []).map(
        (c) => sql`password_expires_at ${sql.raw(timeOperators[c.operator])} ${c.time}::timestamptz`,
      ),
    ]
    return await listRows<UserRow>(ctx, userList, input, sql.join(where, sql` and `))
  },
})

export const updateUser = operation({
  name: "identity.user.update",
  input: Type.Object({
    id: Type.String(),
    name: Type.Optional(ResourceName),
    domainId: Type.Optional(Type.String()),
    ...facts,
  }),
  faults: [notFound, conflict],
  load: (ctx, { id }) => findUser(ctx.db, id),
  rule: "identity:update_user",
  target: (_ctx, _input, row) => userTarget(row),
  run: async (ctx, input, row): Promise<UserRow> => {
    found(row, "user", input.id)
    await checkDefaultProject(ctx, input.defaultProjectId)
    const hash = await hashNew(ctx, input.password)
    return await changeOrConflict(
      ctx,
      () => nameTaken(input.name),
      async (tx) => {
        const before = found(await lockUser(tx, input.id), "user", input.id)
        if (input.domainId !== undefined && input.domainId !== before.domain_id)
          throw invalid("domain_id", "Cannot change Domain ID.")
        const options = changeOptions(userOptions, before.options, input.options)
        await saveUser(tx, before, input, options)
        if (input.password !== undefined)
          await replacePassword(ctx, tx, { id: before.id, options }, hash, false)
        const isDisabled = before.is_enabled && input.isEnabled === false
        if (isDisabled) await revokeUserTokens(tx, before.id)
        await announce(ctx, tx, "user", "updated", before.id)
        if (isDisabled) await announce(ctx, tx, "user", "disabled", before.id)
        return found(await findUser(tx, before.id), "user", before.id)
      },
    )
  },
})

async function saveUser(
  tx: Tx,
  before: UserRow,
  input: {
    name?: string
    isEnabled?: boolean
    defaultProjectId?: string | null
    extra?: Record<string, unknown>
  },
  options: Record<string, unknown>,
): Promise<void> {
  await tx
    .updateTable("identity.user")
    .set({
      name: input.name?.trim() ?? before.name,
      is_enabled: input.isEnabled ?? before.is_enabled,
      default_project_id:
        input.defaultProjectId === undefined ? before.default_project_id : input.defaultProjectId,
      options: jsonb(options),
      extra: jsonb({ ...before.extra, ...input.extra }),
      generation: before.generation + 1,
      updated_at: sql<Date>`now()`,
    })
    .where("id", "=", before.id)
    .where("generation", "=", before.generation)
    .returning("id")
    .executeTakeFirstOrThrow()
}

export const deleteUser = operation({
  name: "identity.user.delete",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findUser(ctx.db, id),
  rule: "identity:delete_user",
  target: (_ctx, _input, row) => userTarget(row),
  run: async (ctx, { id }, row) => {
    found(row, "user", id)
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.credential").where("user_id", "=", id).execute()
      const gone = await tx.deleteFrom("identity.user").where("id", "=", id).returning("id").execute()
      if (gone.length === 0) throw notFound("user", id)
      await announce(ctx, tx, "user", "deleted", id)
    })
  },
})
