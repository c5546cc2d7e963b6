// The first half of OAuth 1: a consumer asks, a user answers. Anyone may ask who can sign as a consumer.
import { randomInt } from "node:crypto"
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { isDelegated } from "../delegation.ts"
import { forbidden, found, notFound, refused, unauthenticated } from "../faults.ts"
import { projectNoun } from "../project/project.ts"
import { find } from "../read.ts"
import { resolveRoles } from "../role/resolve.ts"
import { consumerNoun } from "./consumer.ts"
import type { SignedRequest } from "./signature.ts"
import { findRequestToken, type RequestTokenRow } from "./store.ts"
import { missing, needParameter, readSigned, verifySigned } from "./verify.ts"

const verifierCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
const verifierLength = 8

export const Signed = Type.Unsafe<SignedRequest>(Type.Object({}))

/** Null for a lifetime of 0: for ever. */
export function endAfter(ctx: Ctx, seconds: number): Date | null {
  return seconds === 0 ? null : new Date(ctx.clock.now().getTime() + seconds * 1000)
}

export const createRequestToken = operation({
  name: "identity.oauth_request_token.create",
  input: Type.Object({
    signed: Signed,
    projectId: Type.Optional(Type.String()),
    remoteAddress: Type.String(),
  }),
  faults: [notFound, unauthenticated],
  rules: "public",
  run: async (ctx, { signed, projectId, remoteAddress }): Promise<RequestTokenRow> => {
    const parameters = readSigned(signed)
    const consumerId = needParameter(parameters, "oauth_consumer_key")
    if (!projectId) throw missing("Requested-Project-Id")
    const consumer = found(await find(ctx.db, consumerNoun, consumerId), "consumer", consumerId)
    // Signed first: strangers must not try which projects there are.
    await ctx.drivers.identity.throttle.guard(remoteAddress, () =>
      verifySigned(ctx, signed, parameters, consumer, ""),
    )
    const place = await find(ctx.db, projectNoun, projectId)
    if (!place || place.isDomain) throw notFound("project", projectId)
    return await changeIdentity(ctx, async (tx) => {
      const now = ctx.clock.now()
      await tx.deleteFrom("identity.oauth_request_token").where("expires_at", "<", now).execute()
      const row = await tx
        .insertInto("identity.oauth_request_token")
        .values({
          id: newHexId(),
          consumer_id: consumer.id,
          secret: newHexId(),
          project_id: projectId,
          expires_at: endAfter(ctx, ctx.config.identity.oauth1.request_token_duration),
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      await announce(ctx, tx, "OS-OAUTH1:request_token", "created", row.id)
      return row
    })
  },
})

export function refuseExpired(ctx: Ctx, row: { expires_at: Date | null }, what: string): void {
  if (row.expires_at && row.expires_at.getTime() <= ctx.clock.now().getTime())
    throw refused(`the ${what} is expired`)
}

/** The user gives roles of his own on the project that was asked for; the verifier proves it to the consumer. */
export const authorizeRequestToken = operation({
  name: "identity.oauth_request_token.authorize",
  input: Type.Object({
    id: Type.String(),
    roles: Type.Array(Type.Object({ id: Type.Optional(Type.String()), name: Type.Optional(Type.String()) })),
  }),
  faults: [notFound, unauthenticated, forbidden],
  rule: "identity:authorize_request_token",
  run: async (ctx, { id, roles }): Promise<{ verifier: string }> => {
    if (isDelegated(ctx.caller))
      throw forbidden("Cannot authorize a request token with a token issued via delegation.")
    const token = found(await findRequestToken(ctx.db, id), "request token", id)
    refuseExpired(ctx, token, "request token")
    const { userId } = ctx.caller
    const roleIds = (await resolveRoles(ctx.db, roles)).map((role) => role.id)
    const held = await sql<{ role_id: string }>`
      select role_id from identity.effective_role(${userId}, 'project', ${token.project_id})`.execute(ctx.db)
    const own = new Set(held.rows.map((row) => row.role_id))
    if (roleIds.some((roleId) => !own.has(roleId)))
      throw refused("the authorizing user does not have the roles", userId)
    const verifier = Array.from(
      { length: verifierLength },
      () => verifierCharacters[randomInt(verifierCharacters.length)],
    ).join("")
    await changeIdentity(ctx, async (tx) => {
      const changed = await tx
        .updateTable("identity.oauth_request_token")
        .set({ authorizing_user_id: userId, role_ids: [...new Set(roleIds)], verifier })
        .where("id", "=", id)
        .returning("id")
        .executeTakeFirst()
      found(changed, "request token", id)
      await announce(ctx, tx, "OS-OAUTH1:request_token", "updated", id)
    })
    return { verifier }
  },
})
