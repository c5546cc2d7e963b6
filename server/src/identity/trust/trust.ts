import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { refuseApplicationCredential } from "../delegation.ts"
import { found, notFound } from "../faults.ts"
import type { Role } from "../role/role.ts"
import { Id } from "../shapes.ts"
import { findLiveTrust, findTrusts, type Trust } from "./store.ts"

function trustTarget(trust: { trustor_user_id?: string; trustee_user_id?: string }) {
  return {
    target: { trust: { trustor_user_id: trust.trustor_user_id, trustee_user_id: trust.trustee_user_id } },
  }
}

/** Here 404 comes before 403, as Keystone has it for trusts. */
async function loadTrust(ctx: Ctx, id: string): Promise<Trust> {
  return found(await findLiveTrust(ctx.db, id, ctx.clock.now()), "trust", id)
}

export const getTrust = operation({
  name: "identity.trust.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => loadTrust(ctx, id),
  rule: "identity:get_trust",
  target: (_ctx, _input, trust) => trustTarget(trust),
  run: async (ctx, _input, trust): Promise<Trust> => {
    refuseApplicationCredential(ctx.caller)
    return trust
  },
})

export const listTrusts = operation({
  name: "identity.trust.list",
  input: Type.Object({
    trustorUserId: Type.Optional(Type.String()),
    trusteeUserId: Type.Optional(Type.String()),
  }),
  rules: ["identity:list_trusts", "identity:list_trusts_for_trustor", "identity:list_trusts_for_trustee"],
  authorize: (_ctx, { trustorUserId, trusteeUserId }) => {
    if (trustorUserId !== undefined)
      return [["identity:list_trusts_for_trustor", trustTarget({ trustor_user_id: trustorUserId })]]
    if (trusteeUserId !== undefined)
      return [["identity:list_trusts_for_trustee", trustTarget({ trustee_user_id: trusteeUserId })]]
    return [["identity:list_trusts", {}]]
  },
  run: async (ctx, { trustorUserId, trusteeUserId }): Promise<Trust[]> => {
    refuseApplicationCredential(ctx.caller)
    const trustor = trustorUserId === undefined ? sql`true` : sql`t.trustor_user_id = ${trustorUserId}`
    const trustee = trusteeUserId === undefined ? sql`true` : sql`t.trustee_user_id = ${trusteeUserId}`
    return await findTrusts(ctx.db, sql`t.deleted_at is null and ${trustor} and ${trustee}`)
  },
})

export const deleteTrust = operation({
  name: "identity.trust.delete",
  input: Id,
  faults: [notFound],
  load: async (ctx, { id }) => {
    // One that is used up or over may still be put away.
    const [trust] = await findTrusts(ctx.db, sql`t.id = ${id} and t.deleted_at is null`)
    return found(trust, "trust", id)
  },
  rule: "identity:delete_trust",
  target: (_ctx, _input, trust) => trustTarget(trust),
  run: async (ctx, { id }) => {
    refuseApplicationCredential(ctx.caller)
    await changeIdentity(ctx, async (tx) => {
      // With all that was passed on from it.
      await sql`with recursive gone as (
          select id from identity.trust where id = ${id}
          union select t.id from gone g join identity.trust t on t.redelegated_trust_id = g.id
        ) update identity.trust set deleted_at = now() where id in (select id from gone) and deleted_at is null
      `.execute(tx)
      await announce(ctx, tx, "OS-TRUST:trust", "deleted", id)
    })
  },
})

export const listTrustRoles = operation({
  name: "identity.trust.list_roles",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => loadTrust(ctx, id),
  rule: "identity:list_roles_for_trust",
  target: (_ctx, _input, trust) => trustTarget(trust),
  run: async (ctx, _input, trust): Promise<Role[]> => {
    refuseApplicationCredential(ctx.caller)
    return trust.roles
  },
})

export const getTrustRole = operation({
  name: "identity.trust.get_role",
  input: Type.Object({ id: Type.String(), roleId: Type.String() }),
  faults: [notFound],
  load: (ctx, { id }) => loadTrust(ctx, id),
  rule: "identity:get_role_for_trust",
  target: (_ctx, _input, trust) => trustTarget(trust),
  run: async (ctx, { roleId }, trust): Promise<Role> => {
    refuseApplicationCredential(ctx.caller)
    return found(
      trust.roles.find((role) => role.id === roleId),
      "role",
      roleId,
    )
  },
})
