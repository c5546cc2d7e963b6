// From what a client says to a token: each method proves who it is, the user's rules say whether that is enough,
// then the scope is found and the token made.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { changeIdentity } from "../change.ts"
import { methodNotSupported, refused } from "../faults.ts"
import type { KnownToken } from "../token/cache.ts"
import { issueToken, type TokenRequest } from "../token/issue.ts"
import { proveApplicationCredential } from "./application-credential-method.ts"
import { proveOauth1 } from "./oauth1-method.ts"
import { provePassword } from "./password-method.ts"
import { isEnough, readReceipt, receiptFor, rulesOf } from "./receipt.ts"
import { recordLogin, recordRefusal } from "./record.ts"
import type { LoginRequest, Proof, RequestedScope } from "./request.ts"
import { findScope } from "./scope.ts"
import { proveToken } from "./token-method.ts"
import { proveTotp } from "./totp-method.ts"

type Method = (ctx: Ctx, data: unknown, scope: RequestedScope, request: LoginRequest) => Promise<Proof>

const methods: Readonly<Record<string, Method>> = {
  password: provePassword,
  token: proveToken,
  application_credential: proveApplicationCredential,
  totp: proveTotp,
  oauth1: (ctx, _data, _scope, request) => proveOauth1(ctx, request),
}

export async function login(ctx: Ctx, request: LoginRequest): Promise<KnownToken> {
  try {
    const known = await issueByLogin(ctx, request)
    recordLogin(ctx, request, known)
    return known
  } catch (error) {
    recordRefusal(ctx, request, error)
    throw error
  }
}

async function issueByLogin(ctx: Ctx, request: LoginRequest): Promise<KnownToken> {
  const names = checkMethods(request)
  const proofs = await proveAll(ctx, request, names)
  const proof = merge(proofs)
  const earlier = request.receipt === null ? [] : await readReceipt(ctx, request.receipt, proof.userId)
  const done = [...new Set([...names, ...proofs.flatMap((p) => p.methods ?? []), ...earlier])]
  const rules = rulesOf(proof.options, Object.keys(methods))
  if (!isEnough(rules, done)) throw await halfDone(ctx, proof.userId, done, rules)
  const { scope, trust } = await findScope(ctx, request.scope, proof)
  const wanted: TokenRequest = {
    userId: proof.userId,
    epoch: proof.epoch + (trust?.trustorEpoch ?? 0),
    methods: done,
    scope,
    expiresAtMsMost: earliest(proof.expiresAtMsMost, trust?.expiresAtMs),
    parentAuditId: proof.parentAuditId ?? null,
    trustId: trust?.id ?? null,
    applicationCredentialId: proof.applicationCredential?.id ?? null,
    accessTokenId: proof.accessToken?.id ?? null,
  }
  return trust?.isCounted ? await useTrust(ctx, trust.id, wanted) : await issueToken(ctx, wanted)
}

async function proveAll(ctx: Ctx, request: LoginRequest, names: readonly string[]): Promise<Proof[]> {
  return await ctx.drivers.identity.throttle.guard(request.remoteAddress, async () => {
    const proofs: Proof[] = []
    for (const name of names) {
      const prove = methods[name]
      if (prove) proofs.push(await prove(ctx, request.identity[name], request.scope, request))
    }
    return proofs
  })
}

function checkMethods(request: LoginRequest): string[] {
  const names = [...new Set(request.methods)]
  if (names.length === 0) throw invalid("auth.identity.methods", "Expecting to find a method in identity.")
  for (const name of names) {
    if (!Object.hasOwn(methods, name)) throw methodNotSupported(name)
    if (!Object.hasOwn(request.identity, name)) {
      throw invalid(`auth.identity.${name}`, `Expecting to find ${name} in identity.`)
    }
  }
  return names
}

/** One use less and the token, or neither. */
async function useTrust(ctx: Ctx, trustId: string, wanted: TokenRequest): Promise<KnownToken> {
  return await changeIdentity(ctx, async (tx) => {
    const used = await sql`update identity.trust set remaining_uses = remaining_uses - 1
      where id = ${trustId} and deleted_at is null and remaining_uses > 0 returning 1`.execute(tx)
    if (used.rows.length === 0) throw refused("the trust is used up")
    return await issueToken(ctx, wanted, tx)
  })
}

async function halfDone(ctx: Ctx, userId: string, done: readonly string[], rules: readonly string[][]) {
  const result = await sql<{ id: string; name: string; domain_id: string; domain_name: string }>`
    select u.id, u.name, u.domain_id, d.name as domain_name
    from identity."user" u join identity.project d on d.id = u.domain_id where u.id = ${userId}`.execute(
    ctx.db,
  )
  const user = result.rows[0]
  return user ? receiptFor(ctx, user, done, rules) : refused("the user is gone")
}

/** All methods must speak of one user; the earliest end counts. */
function merge(proofs: readonly Proof[]): Proof {
  const [first, ...others] = proofs
  if (!first) throw refused("no method")
  let merged = first
  for (const other of others) {
    if (other.userId !== merged.userId) throw refused("the methods name different users")
    const end = earliest(merged.expiresAtMsMost, other.expiresAtMsMost)
    merged = { ...other, ...merged, ...(end === null ? {} : { expiresAtMsMost: end }) }
  }
  return merged
}

function earliest(...times: (number | null | undefined)[]): number | null {
  const given = times.filter((time) => time !== null && time !== undefined)
  return given.length > 0 ? Math.min(...given) : null
}
