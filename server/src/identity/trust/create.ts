import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { refuseApplicationCredential } from "../delegation.ts"
import { forbidden, forbiddenAction, found, notFound } from "../faults.ts"
import { find } from "../read.ts"
import { resolveRoles } from "../role/resolve.ts"
import { type Expiry, readExpiry } from "../time.ts"
import { userNoun } from "../user/user.ts"
import { findLiveTrust } from "./read.ts"
import { type Trust, trustNoun, trustTarget } from "./trust.ts"

/** Keystone's [trust] max_redelegation_count. */
const redelegationsMost = 3

interface Terms {
  projectId: string | null
  isImpersonation: boolean
  expiresAt: Expiry | null
  remainingUses: number | null
  roleIds: readonly string[]
}

export const createTrust = operation({
  name: "identity.trust.create",
  input: trustNoun.create,
  faults: [forbidden, forbiddenAction, notFound],
  rule: "identity:create_trust",
  target: (_ctx, { trustorUserId }) => trustTarget({ trustorUserId }),
  run: async (ctx, input): Promise<Trust> => {
    refuseApplicationCredential(ctx.caller)
    const projectId = input.projectId || null
    if (projectId && !input.roles?.length) throw forbiddenAction("At least one role should be specified")
    if (ctx.caller.userId !== input.trustorUserId)
      throw forbiddenAction("The authenticated user should match the trustor")
    found(await find(ctx.db, userNoun, input.trusteeUserId), "user", input.trusteeUserId)
    const roles = await resolveRoles(ctx.db, input.roles ?? [])
    const terms: Terms = {
      projectId,
      isImpersonation: input.isImpersonation,
      expiresAt: readExpiry(ctx, input.expiresAt),
      remainingUses: input.remainingUses ?? null,
      roleIds: roles.map((role) => role.id),
    }
    const source = await findSource(ctx)
    await requireRoles(ctx, source?.root ?? null, input.trustorUserId, terms)
    const count = redelegationsOf(input, source?.parent ?? null)
    for (const trust of source?.chain ?? []) checkRedelegation(trust, terms)
    return await changeIdentity(
      ctx,
      async (tx) => await insertTrust(ctx, tx, input, terms, count, source?.parent),
    )
  },
})

interface Source {
  parent: Trust
  root: Trust
  chain: Trust[]
}

/** The trust that the caller's own token stands on, up to the one at the beginning. */
async function findSource(ctx: Ctx): Promise<Source | null> {
  const id = ctx.caller.token?.trustId
  if (!id) return null
  const parent = found(await findLiveTrust(ctx.db, id, ctx.clock.now()), "trust", id)
  const chain = [parent]
  for (let at = parent; at.redelegatedTrustId && chain.length <= redelegationsMost + 1; ) {
    const above = found(
      await findLiveTrust(ctx.db, at.redelegatedTrustId, ctx.clock.now()),
      "trust",
      at.redelegatedTrustId,
    )
    chain.push(above)
    at = above
  }
  return { parent, root: chain.at(-1) ?? parent, chain }
}

/** The trustor (of the first trust of a chain) has each role on the project now. */
async function requireRoles(
  ctx: Ctx,
  root: Trust | null,
  trustorUserId: string,
  terms: Terms,
): Promise<void> {
  if (!terms.projectId) return
  const project = await sql`select 1 from identity.project where id = ${terms.projectId}`.execute(ctx.db)
  if (project.rows.length === 0) throw notFound("project", terms.projectId)
  const held = await sql<{ role_id: string }>`
    select role_id from identity.effective_role(${root?.trustorUserId ?? trustorUserId}, 'project',
      ${root?.projectId ?? terms.projectId})`.execute(ctx.db)
  const ids = new Set(held.rows.map((row) => row.role_id))
  const missing = terms.roleIds.find((id) => !ids.has(id))
  if (missing !== undefined) throw notFound("role", missing)
}

function redelegationsOf(
  input: {
    isRedelegationAllowed?: boolean | null
    redelegationCount?: number | null
    remainingUses?: number | null
  },
  parent: Trust | null,
): number {
  const asked = input.redelegationCount ?? null
  if (!input.isRedelegationAllowed || asked === 0) return 0
  if (asked !== null && asked > redelegationsMost) {
    throw forbidden(`Requested redelegation depth of ${asked} is greater than allowed ${redelegationsMost}`)
  }
  if (input.remainingUses !== undefined && input.remainingUses !== null)
    throw invalid("remaining_uses", "remaining_uses must not be set if redelegation is allowed")
  if (!parent) return asked ?? redelegationsMost
  const left = parent.redelegationCount - 1
  if (asked !== null && asked !== left)
    throw forbidden(
      'Modifying "redelegation_count" upon redelegation is forbidden. Omitting this parameter is advised.',
    )
  return left
}

/** What is passed on is never more than what was given. */
function checkRedelegation(source: Trust, terms: Terms): void {
  if (source.redelegationCount <= 0 || source.redelegationCount > redelegationsMost) {
    throw forbidden(
      `Remaining redelegation depth of ${source.redelegationCount} out of allowed range of [0..${redelegationsMost}]`,
    )
  }
  if (terms.remainingUses !== null)
    throw forbidden('Field "remaining_uses" must not be set in order to redelegate a trust')
  if (source.endsAt && terms.expiresAt && source.endsAt < terms.expiresAt.at)
    throw forbidden("Requested expiration time is more than redelegated trust can provide")
  const given = new Set(source.roles.map((role) => role.id))
  if (terms.roleIds.some((id) => !given.has(id)))
    throw forbidden("Some of requested roles are not in redelegated trust")
  if (source.projectId !== terms.projectId)
    throw forbidden("A trust can be redelegated for its own project only")
  if (terms.isImpersonation && !source.isImpersonation)
    throw forbidden("Impersonation is not allowed because redelegated trust does not specify impersonation.")
}

async function insertTrust(
  ctx: Ctx,
  tx: Tx,
  input: { trustorUserId: string; trusteeUserId: string; extra?: Record<string, unknown> },
  terms: Terms,
  redelegationCount: number,
  parent: Trust | undefined,
): Promise<Trust> {
  const id = newHexId()
  await tx
    .insertInto("identity.trust")
    .values({
      id,
      trustor_user_id: input.trustorUserId,
      trustee_user_id: input.trusteeUserId,
      project_id: terms.projectId,
      is_impersonation: terms.isImpersonation,
      expires_at: terms.expiresAt?.text ?? parent?.expiresAt ?? null,
      remaining_uses: terms.remainingUses,
      redelegation_count: redelegationCount,
      redelegated_trust_id: parent?.id ?? null,
      extra: jsonb(input.extra ?? {}),
    })
    .execute()
  if (terms.roleIds.length > 0) {
    await tx
      .insertInto("identity.trust_role")
      .values(terms.roleIds.map((role_id) => ({ trust_id: id, role_id })))
      .execute()
  }
  await announce(ctx, tx, "OS-TRUST:trust", "created", id)
  return found(await find(tx, trustNoun, id), "trust", id)
}
