import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { refuseApplicationCredential } from "../delegation.ts"
import { found, notFound } from "../faults.ts"
import { everyone } from "../read.ts"
import type { Role } from "../role/role.ts"
import { Id } from "../shapes.ts"
import { type Trust, trustNoun, trustTarget } from "./trust.ts"

/** One that is in force: neither deleted nor used up nor past its end. */
export async function findLiveTrust(db: DbOrTx, id: string, now: Date): Promise<Trust | null> {
  const live = sql<boolean>`t.id = ${id} and (t.expires_at is null or t.expires_at > ${now})
    and (t.remaining_uses is null or t.remaining_uses > 0)`
  const [trust] = await listThings(db, trustNoun, everyone, { also: [live] })
  return trust ?? null
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
      return [["identity:list_trusts_for_trustor", trustTarget({ trustorUserId })]]
    if (trusteeUserId !== undefined)
      return [["identity:list_trusts_for_trustee", trustTarget({ trusteeUserId })]]
    return [["identity:list_trusts", {}]]
  },
  run: async (ctx, { trustorUserId, trusteeUserId }): Promise<Trust[]> => {
    refuseApplicationCredential(ctx.caller)
    const filters = {
      ...(trustorUserId === undefined ? {} : { trustorUserId: [trustorUserId] }),
      ...(trusteeUserId === undefined ? {} : { trusteeUserId: [trusteeUserId] }),
    }
    return await listThings(ctx.db, trustNoun, everyone, { filters })
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
