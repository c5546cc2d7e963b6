import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId, newSecret } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeOrConflict } from "../change.ts"
import { refuseRestricted, refuseTrustToken } from "../delegation.ts"
import { conflict, forbidden, forbiddenAction, found, notFound } from "../faults.ts"
import { find } from "../read.ts"
import { resolveRoles } from "../role/resolve.ts"
import { readExpiry } from "../time.ts"
import {
  type AccessRuleInput,
  type ApplicationCredential,
  applicationCredentialNoun,
} from "./application-credential.ts"

export const createApplicationCredential = operation({
  name: "identity.application_credential.create",
  input: applicationCredentialNoun.create,
  faults: [conflict, forbidden, forbiddenAction, notFound],
  rule: "identity:create_application_credential",
  target: (_ctx, { userId }) => ({ user_id: userId }),
  run: async (ctx, input): Promise<{ credential: ApplicationCredential; secret: string }> => {
    refuseTrustToken(ctx.caller)
    refuseRestricted(ctx.caller, "additional application credentials")
    if (ctx.caller.userId !== input.userId)
      throw forbiddenAction("Cannot create an application credential for another user.")
    const { projectId } = ctx.caller
    if (!projectId) throw forbidden("An application credential needs a token with project scope.")
    const expiresAt = readExpiry(ctx, input.expiresAt)
    const roleIds = await chosenRoles(ctx, input.roles)
    const secret = input.secret || newSecret(64)
    const hash = await ctx.drivers.identity.hasher.hash(secret)
    const id = newHexId()
    const credential = await changeOrConflict(
      ctx,
      () => conflict("application_credential", `Duplicate entry found with name ${input.name}`),
      async (tx) => {
        await tx
          .insertInto("identity.application_credential")
          .values({
            id,
            name: input.name,
            description: input.description ?? null,
            user_id: input.userId,
            project_id: projectId,
            secret_hash: hash,
            expires_at: expiresAt?.text ?? null,
            is_unrestricted: input.isUnrestricted ?? false,
          })
          .execute()
        await tx
          .insertInto("identity.application_credential_role")
          .values(roleIds.map((role_id) => ({ application_credential_id: id, role_id })))
          .execute()
        for (const rule of input.accessRules ?? []) await attachRule(tx, id, input.userId, rule)
        await announce(ctx, tx, "application_credential", "created", id)
        return found(await find(tx, applicationCredentialNoun, id), "application credential", id)
      },
    )
    return { credential, secret }
  },
})

/** The named roles with what they imply, all of which the token must have; without names, those of the token. */
async function chosenRoles(
  ctx: Ctx,
  refs: readonly { id?: string; name?: string; domainId?: string }[] | undefined,
): Promise<string[]> {
  const held = new Set(ctx.caller.roleIds)
  if (!refs || refs.length === 0) return [...held]
  const named = await resolveRoles(ctx.db, refs)
  const result = await sql<{ role_id: string }>`select role_id from identity.with_implied(${named.map(
    (r) => r.id,
  )}::text[])`.execute(ctx.db)
  const ids = result.rows.map((row) => row.role_id)
  if (ids.some((id) => !held.has(id)))
    throw invalid(
      "roles",
      "Invalid application credential: Cannot create an application credential with unassigned role",
    )
  return ids
}

/** Equal rules of a user are one rule. */
async function attachRule(
  tx: Tx,
  credentialId: string,
  userId: string,
  rule: AccessRuleInput,
): Promise<void> {
  const ruleId = rule.id === undefined ? await ensureRule(tx, userId, rule) : rule.id
  if (rule.id !== undefined) {
    const known =
      await sql`select 1 from identity.access_rule where id = ${rule.id} and user_id = ${userId}`.execute(tx)
    if (known.rows.length === 0) throw notFound("access rule", rule.id)
  }
  await tx
    .insertInto("identity.application_credential_access_rule")
    .values({ application_credential_id: credentialId, access_rule_id: ruleId })
    .onConflict((oc) => oc.doNothing())
    .execute()
}

async function ensureRule(tx: Tx, userId: string, rule: AccessRuleInput): Promise<string> {
  const { service, path, method } = rule
  if (!service || !path || !method)
    throw invalid("access_rules", "An access rule needs service, path and method, or the id of one.")
  const made = await sql<{ id: string }>`
    insert into identity.access_rule (id, user_id, service, path, method)
    values (${newHexId()}, ${userId}, ${service}, ${path}, ${method})
    on conflict on constraint access_rule_once do update set method = excluded.method returning id`.execute(
    tx,
  )
  return found(made.rows[0], "access rule", path).id
}
