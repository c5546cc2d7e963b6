// Make, change and delete users.
import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { boolean, columnsOf, filterOnly, inputOnly, nullable, text, time } from "../../platform/noun/field.ts"
import { insertThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { domainNoun } from "../domain/domain.ts"
import { conflict, found, missingOf, notFound } from "../faults.ts"
import { changeOptions, userOptions } from "../options.ts"
import { checkPasswordForm, replacePassword } from "../password/rules.ts"
import { projectNoun } from "../project/project.ts"
import {
  everyone,
  extraField,
  find,
  idField,
  inDomain,
  lock,
  nameField,
  nextGeneration,
  optionsField,
  ownDomainId,
  sorts,
  withExtra,
} from "../read.ts"
import { Id, Text } from "../shapes.ts"
import { revokeUserTokens } from "../token/revoke.ts"

const written = { create: true, update: true } as const

export const userNoun = noun({
  name: "identity.user",
  table: sql`identity."user"`,
  alias: "u",
  fields: {
    id: idField("u"),
    name: nameField("u"),
    /** Named in a change only to be refused when it differs. */
    domainId: text(sql`u.domain_id`, { ...written, filter: true }),
    defaultProjectId: nullable(text(sql`u.default_project_id`, written)),
    isEnabled: boolean(sql`u.is_enabled`, { ...written, filter: true, name: "enabled" }),
    password: inputOnly(Text, written),
    /** Of the password in force. */
    passwordExpiresAt: nullable(
      time(
        sql`(select p.expires_at from identity.password p where p.user_id = u.id order by p.id desc limit 1)`,
      ),
    ),
    passwordExpires: filterOnly(passwordExpires, "password_expires_at"),
    options: optionsField("u"),
    extra: extraField("u"),
  },
  order: sorts.byName,
  visible: inDomain(sql`u.domain_id`),
  ...missingOf("user"),
})

export type User = Thing<typeof userNoun>

const timeOperators: Readonly<Record<string, string>> = {
  lt: "<",
  lte: "<=",
  gt: ">",
  gte: ">=",
  eq: "=",
  neq: "<>",
}

/** `lt:2026-12-08T22:02:00Z`, all of them; without a word equal. Of the password in force, found by its end. */
function passwordExpires(asked: readonly string[]): RawBuilder<boolean> {
  const ends = asked.map((text) => {
    const [, word = "eq", at = ""] = /^(?:([a-z]+):)?(\d.*)$/.exec(text) ?? []
    return sql`p.expires_at ${sql.raw(timeOperators[word] ?? "=")} ${at}::timestamptz`
  })
  return sql<boolean>`u.id in (select p.user_id from identity.password p where ${sql.join(ends, sql` and `)}
    and not exists (select from identity.password n where n.user_id = p.user_id and n.id > p.id))`
}

export function userTarget(user: { id: string; domainId: string } | null) {
  return {
    user_id: user?.id,
    target: { user: user ? { id: user.id, domain_id: user.domainId } : undefined },
  }
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
  input: userNoun.create,
  faults: [conflict],
  // Whoever may in one domain only has to name it.
  rule: "identity:create_user",
  target: (_ctx, { domainId }) => ({ target: { user: { domain_id: domainId ?? null } } }),
  run: async (ctx, { password, ...input }): Promise<User> => {
    const domainId = input.domainId ?? ownDomainId(ctx) ?? ""
    if (!(await find(ctx.db, domainNoun, domainId))) throw notFound("domain", domainId)
    await checkDefaultProject(ctx, input.defaultProjectId)
    const options = changeOptions(userOptions, {}, input.options)
    const hash = await hashNew(ctx, password)
    return await changeIdentity(ctx, async (tx) => {
      const id = newHexId()
      const values = columnsOf({ ...input, id, name: input.name.trim(), domainId, options })
      if (!(await insertThing(tx, userNoun, everyone, { values }))) throw nameTaken(input.name)
      if (hash !== null) await replacePassword(ctx, tx, { id, options }, hash, false)
      await announce(ctx, tx, "user", "created", id)
      return found(await find(tx, userNoun, id), "user", id)
    })
  },
})

/** A default project may be unknown (tokens are then unscoped), but it may not be a domain. */
async function checkDefaultProject(ctx: Ctx, id: string | null | undefined): Promise<void> {
  if (!id) return
  const place = await find(ctx.db, projectNoun, id)
  if (place?.isDomain) throw invalid("default_project_id", "User's default project ID cannot be a domain ID.")
}

export const updateUser = operation({
  name: "identity.user.update",
  input: Type.Object({ id: Type.String(), changes: userNoun.changes }),
  faults: [notFound, conflict],
  load: (ctx, { id }) => find(ctx.db, userNoun, id),
  rule: "identity:update_user",
  target: (_ctx, _input, user) => userTarget(user),
  run: async (ctx, { id, changes: { password, ...changes } }, user): Promise<User> => {
    found(user, "user", id)
    await checkDefaultProject(ctx, changes.defaultProjectId)
    const hash = await hashNew(ctx, password)
    return await changeOrConflict(
      ctx,
      () => nameTaken(changes.name),
      async (tx) => {
        const before = found(await lock(tx, userNoun, id), "user", id)
        if (changes.domainId !== undefined && changes.domainId !== before.domainId)
          throw invalid("domain_id", "Cannot change Domain ID.")
        const options = changeOptions(userOptions, before.options, changes.options)
        const set = columnsOf(withExtra({ ...changes, name: changes.name?.trim(), options }))
        await updateThing(tx, userNoun, everyone, id, { ...set, ...nextGeneration })
        if (password !== undefined) await replacePassword(ctx, tx, { id, options }, hash, false)
        const isDisabled = before.isEnabled && changes.isEnabled === false
        if (isDisabled) await revokeUserTokens(tx, id)
        await announce(ctx, tx, "user", "updated", id)
        if (isDisabled) await announce(ctx, tx, "user", "disabled", id)
        return found(await find(tx, userNoun, id), "user", id)
      },
    )
  },
})

export const deleteUser = operation({
  name: "identity.user.delete",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => find(ctx.db, userNoun, id),
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
