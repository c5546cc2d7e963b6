// What every signed request of OAuth 1 must be: of a consumer that we know, signed with its secret, fresh, and new.
import { createHash } from "node:crypto"
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { type Fault, invalid } from "../../platform/fault/fault.ts"
import { refused } from "../faults.ts"
import type { Consumer } from "./consumer.ts"
import { isSignedWith, readOauthHeader, type SignedRequest } from "./signature.ts"

/** A client's clock may be off by this much; for as long a signed request could be sent again. */
const timeWindowMs = 15 * 60_000

export type OauthParameters = ReadonlyMap<string, string>

export function readSigned(signed: SignedRequest): OauthParameters {
  const parameters = readOauthHeader(signed.authorization)
  if (!parameters) throw invalid("Authorization", "Expecting to find an OAuth Authorization header.")
  return parameters
}

export function needParameter(parameters: OauthParameters, name: string): string {
  const value = parameters.get(name)
  if (value) return value
  throw missing(name)
}

export function missing(name: string): Fault {
  return invalid(name, `Expecting to find ${name} in request. The server could not comply with the request.`)
}

/** Throws `unauthenticated` with the reason for the log. */
export async function verifySigned(
  ctx: Ctx,
  signed: SignedRequest,
  parameters: OauthParameters,
  consumer: Consumer,
  tokenSecret: string,
): Promise<void> {
  const version = parameters.get("oauth_version") ?? "1.0"
  if (version !== "1.0") throw refused("another version of OAuth")
  if (!isSignedWith(signed, parameters, { consumer: consumer.secret, token: tokenSecret }))
    throw refused("wrong OAuth signature")
  const nonce = needParameter(parameters, "oauth_nonce")
  const seconds = needParameter(parameters, "oauth_timestamp")
  const now = ctx.clock.now()
  if (!/^\d{1,12}$/.test(seconds) || Math.abs(Number(seconds) * 1000 - now.getTime()) > timeWindowMs)
    throw refused("the time of the OAuth request is too far off")
  // Nonces are new for each timestamp and token only; of any length, so a hash is kept.
  const what = [seconds, parameters.get("oauth_token") ?? "", nonce].join("\0")
  const hash = createHash("sha256").update(what).digest("base64url")
  // Twice: a client may be ahead of us as much as behind.
  const forgetBefore = new Date(now.getTime() - 2 * timeWindowMs)
  if (!(await useNonce(ctx.db, consumer.id, hash, { now, forgetBefore })))
    throw refused("the OAuth request was sent before")
}

/** False when the consumer has used it before. */
async function useNonce(
  db: DbOrTx,
  consumerId: string,
  nonce: string,
  times: { now: Date; forgetBefore: Date },
): Promise<boolean> {
  await db.deleteFrom("identity.oauth_nonce").where("used_at", "<", times.forgetBefore).execute()
  const used = await sql`insert into identity.oauth_nonce (consumer_id, nonce, used_at)
    values (${consumerId}, ${nonce}, ${times.now}) on conflict do nothing returning 1`.execute(db)
  return used.rows.length > 0
}
