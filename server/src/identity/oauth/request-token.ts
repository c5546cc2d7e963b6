// The first half of OAuth 1: a consumer asks, a user answers. Anyone may ask who can sign as a consumer.
import { randomInt } from "node:crypto"
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, nullable, text, time } from "../../platform/noun/field.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { isDelegated } from "../delegation.ts"
import { forbidden, found, missingOf, notFound, refused, unauthenticated } from "../faults.ts"
import { projectNoun } from "../project/project.ts"
import { everyone, find, idField, sorts } from "../read.ts"
import { resolveRoles } from "../role/resolve.ts"
import { consumerNoun } from "./consumer.ts"
import type { SignedRequest } from "./signature.ts"
import { missing, needParameter, readSigned, verifySigned } from "./verify.ts"

const verifierCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
const verifierLength = 8

export const Signed = Type.Unsafe<SignedRequest>(Type.Object({}))

export const requestTokenNoun = noun({
  name: "identity.oauth_request_token",
  table: sql`identity.oauth_request_token`,
  alias: "q",
  fields: {
    id: idField("q"),
    consumerId: text(sql`q.consumer_id`),
    secret: text(sql`q.secret`),
    projectId: text(sql`q.project_id`),
    /** Set when a user has authorized it. */
    verifier: nullable(text(sql`q.verifier`)),
    expiresAt: nullable(time(sql`q.expires_at`)),
  },
  order: sorts.byId,
  visible: () => visibleToAll,
  ...missingOf("request token"),
})

export type RequestToken = Thing<typeof requestTokenNoun>

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
  run: async (ctx, { signed, projectId, remoteAddress }): Promise<RequestToken> => {
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
      const id = newHexId()
      const values = columnsOf({
        id,
        consumerId: consumer.id,
        secret: newHexId(),
        projectId,
        expiresAt: endAfter(ctx, ctx.config.identity.oauth1.request_token_duration),
      })
      const row = found(await insertThing(tx, requestTokenNoun, everyone, { values }), "request token", id)
      await announce(ctx, tx, "OS-OAUTH1:request_token", "created", id)
      return row
    })
  },
})

export function refuseExpired(ctx: Ctx, { expiresAt }: { expiresAt: Date | null }, what: string): void {
  if (expiresAt && expiresAt.getTime() <= ctx.clock.now().getTime()) throw refused(`the ${what} is expired`)
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
    const token = found(await find(ctx.db, requestTokenNoun, id), "request token", id)
    refuseExpired(ctx, token, "request token")
    const { userId } = ctx.caller
    const roleIds = (await resolveRoles(ctx.db, roles)).map((role) => role.id)
    const held = await sql<{ role_id: string }>`
      select role_id from identity.effective_role(${userId}, 'project', ${token.projectId})`.execute(ctx.db)
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
