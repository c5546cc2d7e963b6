import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { refuseRestricted, refuseTrustToken } from "../delegation.ts"
import { notFound } from "../faults.ts"
import { loadOne, ofUser, one } from "./read.ts"

export const deleteApplicationCredential = operation({
  name: "identity.application_credential.delete",
  input: one,
  faults: [notFound],
  load: loadOne,
  rule: "identity:delete_application_credential",
  target: (_ctx, { userId }, row) => ({ user_id: row?.userId ?? userId }),
  run: async (ctx, input, row) => {
    refuseTrustToken(ctx.caller)
    refuseRestricted(ctx.caller, "additional application credentials")
    const { id } = ofUser(row, input)
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.application_credential").where("id", "=", id).execute()
      await announce(ctx, tx, "application_credential", "deleted", id)
    })
  },
})
