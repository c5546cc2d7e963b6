// The second half of OAuth 1: the consumer turns what the user authorized into a lasting token, with which it logs in
// (auth/oauth1-method.ts). The user sees the tokens that he gave and takes them back.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, nullable, text, texts, time } from "../../platform/noun/field.ts"
import { insertThing, listThings } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { isEqualText } from "../auth/ec2-signature.ts"
import { announce, changeIdentity } from "../change.ts"
import { credentialTarget } from "../credential/credential.ts"
import { isDelegated } from "../delegation.ts"
import { forbidden, found, missingOf, notFound, refused, unauthenticated } from "../faults.ts"
import { everyone, find, idField } from "../read.ts"
import { type Role, roleNoun } from "../role/role.ts"
import { consumerNoun } from "./consumer.ts"
import { endAfter, refuseExpired, requestTokenNoun, Signed } from "./request-token.ts"
import { needParameter, readSigned, verifySigned } from "./verify.ts"

export const accessTokenNoun = noun({
  name: "identity.oauth_access_token",
  table: sql`identity.oauth_access_token`,
  alias: "a",
  fields: {
    id: idField("a"),
    consumerId: text(sql`a.consumer_id`),
    secret: text(sql`a.secret`, { internal: true }),
    authorizingUserId: text(sql`a.authorizing_user_id`),
    projectId: text(sql`a.project_id`),
    roleIds: texts(sql`a.role_ids`, { internal: true }),
    expiresAt: nullable(time(sql`a.expires_at`)),
    createdAt: time(sql`a.created_at`, { internal: true }),
  },
  visible: () => visibleToAll,
  ...missingOf("access token"),
})

export type AccessToken = Thing<typeof accessTokenNoun>

export const createAccessToken = operation({
  name: "identity.oauth_access_token.create",
  input: Type.Object({ signed: Signed, remoteAddress: Type.String() }),
  faults: [notFound, unauthenticated],
  rules: "public",
  run: async (ctx, { signed, remoteAddress }): Promise<AccessToken> => {
    const parameters = readSigned(signed)
    const consumerId = needParameter(parameters, "oauth_consumer_key")
    const requestId = needParameter(parameters, "oauth_token")
    const verifier = needParameter(parameters, "oauth_verifier")
    const request = found(await find(ctx.db, requestTokenNoun, requestId), "request token", requestId)
    await ctx.drivers.identity.throttle.guard(remoteAddress, async () => {
      refuseExpired(ctx, request, "request token")
      const consumer = await find(ctx.db, consumerNoun, consumerId)
      if (!consumer || request.consumerId !== consumer.id)
        throw refused("the request token is another consumer's")
      await verifySigned(ctx, signed, parameters, consumer, request.secret)
      if (request.verifier === null) throw refused("no user has authorized the request token")
      if (!isEqualText(request.verifier, verifier)) throw refused("wrong OAuth verifier")
    })
    return await exchange(ctx, requestId, verifier)
  },
})

/** Used up and made in one transaction; of two that come at once, one finds nothing. */
async function exchange(ctx: Ctx, requestId: string, verifier: string): Promise<AccessToken> {
  return await changeIdentity(ctx, async (tx) => {
    const used = await tx
      .deleteFrom("identity.oauth_request_token")
      .where("id", "=", requestId)
      .where("verifier", "=", verifier)
      .returningAll()
      .executeTakeFirst()
    const { authorizing_user_id, role_ids, ...request } = found(used, "request token", requestId)
    if (authorizing_user_id === null || role_ids === null)
      throw refused("no user has authorized the request token")
    const values = columnsOf({
      id: newHexId(),
      consumerId: request.consumer_id,
      secret: newHexId(),
      authorizingUserId: authorizing_user_id,
      projectId: request.project_id,
      roleIds: role_ids,
      expiresAt: endAfter(ctx, ctx.config.identity.oauth1.access_token_duration),
    })
    const row = found(await insertThing(tx, accessTokenNoun, everyone, { values }), "access token", requestId)
    await announce(ctx, tx, "OS-OAUTH1:access_token", "created", row.id)
    return row
  })
}

function refuseDelegated(ctx: Ctx): void {
  if (isDelegated(ctx.caller))
    throw forbidden("Cannot manage OAuth access tokens with a token issued via delegation.")
}

export const listAccessTokens = operation({
  name: "identity.oauth_access_token.list",
  input: Type.Object({ userId: Type.String() }),
  faults: [forbidden],
  rule: "identity:list_access_tokens",
  run: async (ctx, { userId }): Promise<AccessToken[]> => {
    refuseDelegated(ctx)
    const own = sql<boolean>`a.authorizing_user_id = ${userId}`
    return await listThings(ctx.db, accessTokenNoun, everyone, { also: [own] })
  },
})

const one = Type.Object({ userId: Type.String(), id: Type.String() })

async function loadOwn(
  ctx: Ctx,
  { userId, id }: { userId: string; id: string },
): Promise<AccessToken | null> {
  const row = await find(ctx.db, accessTokenNoun, id)
  return row?.authorizingUserId === userId ? row : null
}

export const getAccessToken = operation({
  name: "identity.oauth_access_token.get",
  input: one,
  faults: [notFound, forbidden],
  load: loadOwn,
  rule: "identity:get_access_token",
  run: async (ctx, { id }, row): Promise<AccessToken> => {
    refuseDelegated(ctx)
    return found(row, "access token", id)
  },
})

export const deleteAccessToken = operation({
  name: "identity.oauth_access_token.delete",
  input: one,
  faults: [notFound, forbidden],
  load: loadOwn,
  // Keystone asks this rule here: who gave the token may take it back, and not only an administrator.
  rule: "identity:ec2_delete_credential",
  target: (_ctx, { userId }) => credentialTarget({ userId }),
  run: async (ctx, { id }, row) => {
    refuseDelegated(ctx)
    found(row, "access token", id)
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.oauth_access_token").where("id", "=", id).execute()
      await announce(ctx, tx, "OS-OAUTH1:access_token", "deleted", id)
    })
  },
})

export const listAccessTokenRoles = operation({
  name: "identity.oauth_access_token.list_roles",
  input: one,
  faults: [notFound],
  load: loadOwn,
  rule: "identity:list_access_token_roles",
  run: async (ctx, { id }, row): Promise<Role[]> => await rolesOf(ctx, found(row, "access token", id)),
})

export const getAccessTokenRole = operation({
  name: "identity.oauth_access_token.get_role",
  input: Type.Object({ ...one.properties, roleId: Type.String() }),
  faults: [notFound],
  load: loadOwn,
  rule: "identity:get_access_token_role",
  run: async (ctx, { id, roleId }, row): Promise<Role> => {
    const roles = await rolesOf(ctx, found(row, "access token", id))
    return found(
      roles.find((role) => role.id === roleId),
      "role",
      roleId,
    )
  },
})

async function rolesOf(ctx: Ctx, { roleIds }: AccessToken): Promise<Role[]> {
  const given = sql<boolean>`r.id = any(${roleIds})`
  return await listThings(ctx.db, roleNoun, everyone, { also: [given] })
}
