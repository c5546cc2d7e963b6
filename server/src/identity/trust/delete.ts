import { sql } from "kysely"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { refuseApplicationCredential } from "../delegation.ts"
import { found, notFound } from "../faults.ts"
import { find } from "../read.ts"
import { Id } from "../shapes.ts"
import { trustNoun, trustTarget } from "./trust.ts"

export const deleteTrust = operation({
  name: "identity.trust.delete",
  input: Id,
  faults: [notFound],
  // One that is used up or over may still be put away.
  load: async (ctx, { id }) => found(await find(ctx.db, trustNoun, id), "trust", id),
  rule: "identity:delete_trust",
  target: (_ctx, _input, trust) => trustTarget(trust),
  run: async (ctx, { id }) => {
    refuseApplicationCredential(ctx.caller)
    await changeIdentity(ctx, async (tx) => {
      // With all that was passed on from it.
      await sql`with recursive gone as (
          select id from identity.trust where id = ${id}
          union select t.id from gone g join identity.trust t on t.redelegated_trust_id = g.id
        ) update identity.trust set deleted_at = now() where id in (select id from gone) and deleted_at is null
      `.execute(tx)
      await announce(ctx, tx, "OS-TRUST:trust", "deleted", id)
    })
  },
})
