// Inference: who has the prior role has the implied one as well.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { listThings } from "../../platform/noun/list.ts"
import { objectOf } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { forbidden, found, notFound } from "../faults.ts"
import { everyone, find } from "../read.ts"
import { type Role, roleNoun } from "./role.ts"

const pair = Type.Object({ priorRoleId: Type.String(), impliedRoleId: Type.String() })

export interface Inference {
  prior: Role
  implied: Role
}

interface Pair {
  priorRoleId: string
  impliedRoleId: string
}

async function loadPair(ctx: Ctx, { priorRoleId, impliedRoleId }: Pair): Promise<Inference> {
  return {
    prior: found(await find(ctx.db, roleNoun, priorRoleId), "role", priorRoleId),
    implied: found(await find(ctx.db, roleNoun, impliedRoleId), "role", impliedRoleId),
  }
}

async function isImplied(ctx: Ctx, input: Pair): Promise<boolean> {
  const row = await ctx.db
    .selectFrom("identity.implied_role")
    .select("prior_role_id")
    .where("prior_role_id", "=", input.priorRoleId)
    .where("implied_role_id", "=", input.impliedRoleId)
    .executeTakeFirst()
  return row !== undefined
}

export const createImpliedRole = operation({
  name: "identity.implied_role.create",
  input: pair,
  faults: [notFound, forbidden],
  load: loadPair,
  rule: "identity:create_implied_role",
  run: async (ctx, input, inference): Promise<Inference> => {
    if (inference.implied.name === "admin")
      throw forbidden(`Role ${inference.implied.id} cannot be an implied role.`)
    if (inference.prior.domainId === null && inference.implied.domainId !== null)
      throw forbidden("A role that counts everywhere cannot imply a role of a single domain.")
    await changeIdentity(ctx, async (tx) => {
      // One at a time, so that two requests cannot close a circle together.
      await sql`select pg_advisory_xact_lock(hashtextextended('identity.implied_role', 0))`.execute(tx)
      const back = await sql`select 1 from identity.with_implied(array[${input.impliedRoleId}]::text[])
        where role_id = ${input.priorRoleId}`.execute(tx)
      if (back.rows.length > 0)
        throw invalid(
          "implied_role_id",
          "The implied role already implies the prior role: that would be a circle.",
        )
      await tx
        .insertInto("identity.implied_role")
        .values({ prior_role_id: input.priorRoleId, implied_role_id: input.impliedRoleId })
        .onConflict((oc) => oc.doNothing())
        .execute()
      await announce(ctx, tx, "implied_role", "created", `${input.priorRoleId}/${input.impliedRoleId}`)
    })
    return inference
  },
})

export const getImpliedRole = operation({
  name: "identity.implied_role.get",
  input: pair,
  faults: [notFound],
  load: loadPair,
  rule: "identity:get_implied_role",
  run: async (ctx, input, inference): Promise<Inference> => {
    if (!(await isImplied(ctx, input)))
      throw notFound("role", `${input.impliedRoleId} implied by ${input.priorRoleId}`)
    return inference
  },
})

export const deleteImpliedRole = operation({
  name: "identity.implied_role.delete",
  input: pair,
  faults: [notFound],
  load: loadPair,
  rule: "identity:delete_implied_role",
  run: async (ctx, input) => {
    await changeIdentity(ctx, async (tx) => {
      const gone = await tx
        .deleteFrom("identity.implied_role")
        .where("prior_role_id", "=", input.priorRoleId)
        .where("implied_role_id", "=", input.impliedRoleId)
        .returning("prior_role_id")
        .execute()
      if (gone.length === 0) throw notFound("role", `${input.impliedRoleId} implied by ${input.priorRoleId}`)
      await announce(ctx, tx, "implied_role", "deleted", `${input.priorRoleId}/${input.impliedRoleId}`)
    })
  },
})

export const listImpliedRoles = operation({
  name: "identity.implied_role.list",
  input: Type.Object({ priorRoleId: Type.String() }),
  faults: [notFound],
  load: async (ctx, { priorRoleId }) => found(await find(ctx.db, roleNoun, priorRoleId), "role", priorRoleId),
  rule: "identity:list_implied_roles",
  run: async (ctx, { priorRoleId }, prior): Promise<{ prior: Role; implies: Role[] }> => {
    const implied = sql<boolean>`r.id in (
      select implied_role_id from identity.implied_role where prior_role_id = ${priorRoleId})`
    return { prior, implies: await listThings(ctx.db, roleNoun, everyone, { also: [implied] }) }
  },
})

export const listInferences = operation({
  name: "identity.implied_role.list_all",
  input: Type.Object({}),
  rule: "identity:list_role_inference_rules",
  run: async (ctx): Promise<{ prior: Role; implies: Role[] }[]> => {
    const role = objectOf(roleNoun, everyone)
    const result = await sql<{ prior: Role; implies: Role[] }>`
      select (select ${role} from identity.role r where r.id = i.prior_role_id) as prior,
        jsonb_agg(${role} order by r.name) as implies
      from identity.implied_role i join identity.role r on r.id = i.implied_role_id
      join identity.role p on p.id = i.prior_role_id
      group by i.prior_role_id, p.name order by p.name`.execute(ctx.db)
    return result.rows
  },
})
