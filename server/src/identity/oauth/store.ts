import { type Selectable, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { OauthAccessTokenTable, OauthRequestTokenTable } from "../tables.ts"

export type RequestTokenRow = Selectable<OauthRequestTokenTable>
export type AccessTokenRow = Selectable<OauthAccessTokenTable>

export async function findRequestToken(db: DbOrTx, id: string): Promise<RequestTokenRow | null> {
  const row = await db
    .selectFrom("identity.oauth_request_token")
    .selectAll()
    .where("id", "=", id)
    .executeTakeFirst()
  return row ?? null
}

export async function findAccessToken(db: DbOrTx, id: string): Promise<AccessTokenRow | null> {
  const row = await db
    .selectFrom("identity.oauth_access_token")
    .selectAll()
    .where("id", "=", id)
    .executeTakeFirst()
  return row ?? null
}

/** False when the consumer has used it before. */
export async function useNonce(
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
