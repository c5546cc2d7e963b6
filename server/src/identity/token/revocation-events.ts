import { Type } from "typebox"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { parseTime } from "../time.ts"

export interface RevocationEvent {
  audit_id: string
  issued_before: Date
}

/** Single tokens that were revoked, for services that check tokens themselves. */
export const listRevocationEvents = operation({
  name: "identity.token.list_revocations",
  input: Type.Object({ since: Type.Optional(Type.String()) }),
  rule: "identity:list_revoke_events",
  run: async (ctx, { since }): Promise<RevocationEvent[]> => {
    const from = since === undefined ? new Date(0) : parseTime(since)
    if (!from) throw invalid("since", `Invalid date format ${since}`)
    return await ctx.db
      .selectFrom("identity.revocation")
      .select(["audit_id", "issued_before"])
      .where("revoked_at", ">=", from)
      .where("expires_at", ">", ctx.clock.now())
      .orderBy("revoked_at")
      .execute()
  },
})
