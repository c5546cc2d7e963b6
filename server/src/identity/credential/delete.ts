import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { refuseOtherProject } from "../delegation.ts"
import { found, notFound } from "../faults.ts"
import { Id } from "../shapes.ts"
import { credentialTarget } from "./credential.ts"
import { findCredential } from "./read.ts"

export const deleteCredential = operation({
  name: "identity.credential.delete",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findCredential(ctx, id),
  rule: "identity:delete_credential",
  target: (_ctx, _input, row) => credentialTarget(row),
  run: async (ctx, { id }, row) => {
    refuseOtherProject(ctx.caller, found(row, "credential", id).projectId)
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.credential").where("id", "=", id).execute()
      await announce(ctx, tx, "credential", "deleted", id)
    })
  },
})
