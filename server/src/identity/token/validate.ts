import type { Caller } from "../../platform/auth/caller.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { AskedFor, Authenticate } from "../../platform/http/server.ts"
import { admitsRequest } from "../application-credential/access-check.ts"
import { refused } from "../faults.ts"
import type { KnownToken } from "./cache.ts"
import { readTokenFacts } from "./facts.ts"
import { decodePayload, type TokenPayload } from "./payload.ts"
import { callerOf, judgeToken } from "./token.ts"

/** Longer texts are not tokens of ours and are not worth an HMAC. */
const tokenLengthMax = 1_024

/** The token as the database sees it now; throws `unauthenticated` with the reason for the log. */
export function readToken(
  platform: Platform,
  id: string,
  options: { graceMs?: number } = {},
): KnownToken | Promise<KnownToken> {
  const known = platform.drivers.identity.cache.getToken(id)
  const nowMs = platform.clock.now().getTime()
  const graceMs = options.graceMs ?? 0
  if (known) {
    if (known.expiresAtMs + graceMs <= nowMs) throw refused("the token is expired")
    return known
  }
  const payload = openToken(platform, id)
  return payload ? judge(platform, id, payload, graceMs) : openLate(platform, id, graceMs)
}

/** Perhaps with a key that this process has not heard of yet. */
async function openLate(platform: Platform, id: string, graceMs: number): Promise<KnownToken> {
  const message =
    id.length > tokenLengthMax ? null : await platform.drivers.identity.tokenKeys.decryptLate(id)
  const payload = message && decodePayload(message.payload)
  if (!payload) throw refused("not a token of this cloud")
  return await judge(platform, id, payload, graceMs)
}

function judge(platform: Platform, id: string, payload: TokenPayload, graceMs: number): Promise<KnownToken> {
  const nowMs = platform.clock.now().getTime()
  if (payload.expiresAtMs + graceMs <= nowMs) throw refused("the token is expired")
  return findToken(platform, id, payload)
}

export function openToken(platform: Platform, id: string): TokenPayload | null {
  if (id.length > tokenLengthMax) return null
  const message = platform.drivers.identity.tokenKeys.decrypt(id)
  return message ? decodePayload(message.payload) : null
}

/** Judges a payload by the database and remembers the outcome. `db`: the transaction of whoever is in one. */
export async function findToken(
  platform: Platform,
  id: string,
  payload: TokenPayload,
  db: DbOrTx = platform.db,
): Promise<KnownToken> {
  const { cache } = platform.drivers.identity
  const epoch = cache.epoch
  const facts = await readTokenFacts(db, payload, platform.clock.now())
  const token = judgeToken(id, payload, facts)
  if (typeof token === "string") throw refused(token)
  const known = { token, caller: callerOf(token), expiresAtMs: payload.expiresAtMs, json: null }
  // Inside a transaction we may have seen what nobody else may yet.
  if (db === platform.db) cache.storeToken(known, epoch)
  return known
}

/** For the HTTP edge: who sent the request, by X-Auth-Token or as a bearer. */
export function authenticatorFor(platform: Platform): Authenticate {
  return (headers, asked) => {
    const id = headers["x-auth-token"] || bearerOf(headers.authorization)
    if (typeof id !== "string" || id === "") throw refused("no X-Auth-Token")
    const known = readToken(platform, id)
    return known instanceof Promise ? known.then((k) => callerFor(k, asked)) : callerFor(known, asked)
  }
}

/** As clients of OAuth 2 send it (RFC 6750). */
function bearerOf(authorization: string | string[] | undefined): string | undefined {
  return typeof authorization === "string" ? /^Bearer\s+(\S+)$/i.exec(authorization)?.[1] : undefined
}

function callerFor({ token, caller }: KnownToken, asked: AskedFor): Caller {
  const rules = token.applicationCredential?.access_rules ?? []
  if (rules.length > 0 && !admitsRequest(rules, asked)) throw refused("no access rule admits the request")
  return caller
}
