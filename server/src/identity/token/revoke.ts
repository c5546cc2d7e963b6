import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { announce, changeIdentity } from "../change.ts"
import type { TokenPayload } from "./payload.ts"

/** Ends one token; those made from it live on, as Keystone has it. */
export async function revokeToken(ctx: Ctx, payload: TokenPayload): Promise<void> {
  const auditId = payload.auditIds[0]
  if (auditId === undefined) return
  const now = ctx.clock.now()
  // A service may still look at the token for a while after its end.
  const keepMs = ctx.config.identity.allowExpiredWindowSeconds * 1000
  await changeIdentity(ctx, async (tx) => {
    await sql`delete from identity.revocation where expires_at < ${now}`.execute(tx)
    await tx
      .insertInto("identity.revocation")
      .values({ audit_id: auditId, issued_before: now, expires_at: new Date(payload.expiresAtMs + keepMs) })
      .onConflict((oc) => oc.doNothing())
      .execute()
    await announce(ctx, tx, "token", "deleted", auditId)
  })
}

/** Ends every token of the user and of trusts that he gave. */
export async function revokeUserTokens(tx: Tx, userId: string): Promise<void> {
  await tx
    .updateTable("identity.user")
    .set({ token_epoch: sql<number>`token_epoch + 1` })
    .where("id", "=", userId)
    .execute()
}
