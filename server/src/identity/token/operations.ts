import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { login } from "../auth/login.ts"
import type { LoginRequest } from "../auth/request.ts"
import { readSubject } from "../auth/token-method.ts"
import {
  forbiddenAction,
  moreMethodsWanted,
  notFound,
  passwordExpired,
  throttled,
  unauthenticated,
} from "../faults.ts"
import type { KnownToken } from "./cache.ts"
import { revokeToken as revokePayload } from "./revoke.ts"
import { openToken } from "./validate.ts"

/** Anyone may try to log in. */
export const issueTokenByLogin = operation({
  name: "identity.token.issue",
  input: Type.Object({ request: Type.Unsafe<LoginRequest>(Type.Object({})) }),
  faults: [unauthenticated, moreMethodsWanted, forbiddenAction, passwordExpired, throttled],
  rules: "public",
  run: (ctx, { request }): Promise<KnownToken> => login(ctx, request),
})

const subject = Type.Object({
  tokenId: Type.String(),
  isExpiredAllowed: Type.Optional(Type.Boolean()),
  /** Whether who asks enforces access rules; a service that does not would take the token as unrestricted. */
  knowsAccessRules: Type.Boolean(),
})

interface Subject {
  tokenId: string
  isExpiredAllowed?: boolean
  knowsAccessRules: boolean
}

async function loadSubject(ctx: Ctx, input: Subject): Promise<KnownToken> {
  const graceMs = input.isExpiredAllowed ? ctx.config.identity.allowExpiredWindowSeconds * 1000 : 0
  const known = await readSubject(ctx, input.tokenId, { graceMs })
  const rules = known.token.applicationCredential?.access_rules ?? []
  if (rules.length > 0 && !input.knowsAccessRules) throw notFound("token", "Failed to validate token")
  return known
}

/** Whose token it is decides who may look at it. */
function targetOf(known: KnownToken) {
  return { "target.token.user_id": known.token.user.id }
}

export const validateToken = operation({
  name: "identity.token.validate",
  input: subject,
  faults: [notFound],
  load: loadSubject,
  rule: "identity:validate_token",
  target: (_ctx, _input, known) => targetOf(known),
  run: async (_ctx, _input, known) => known,
})

export const checkToken = operation({
  name: "identity.token.check",
  input: subject,
  faults: [notFound],
  load: loadSubject,
  rule: "identity:check_token",
  target: (_ctx, _input, known) => targetOf(known),
  run: async (_ctx, _input, known) => known,
})

export const revokeToken = operation({
  name: "identity.token.revoke",
  input: Type.Object({ tokenId: Type.String() }),
  faults: [notFound],
  // A restricted token may be ended by whoever holds it.
  load: (ctx, { tokenId }) => loadSubject(ctx, { tokenId, knowsAccessRules: true }),
  rule: "identity:revoke_token",
  target: (_ctx, _input, known) => targetOf(known),
  run: async (ctx, input) => {
    const payload = openToken(ctx, input.tokenId)
    if (payload) await revokePayload(ctx, payload)
  },
})
