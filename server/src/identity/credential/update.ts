import { Type } from "typebox"
import { invalid } from "../../platform/fault/fault.ts"
import { columnsOf } from "../../platform/noun/field.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { refuseOtherProject } from "../delegation.ts"
import { found, notFound } from "../faults.ts"
import { requireKnownProject } from "../project/read.ts"
import { everyone, withExtra } from "../read.ts"
import { seal } from "../seal.ts"
import { isEc2, readEc2Blob } from "./blob.ts"
import { credentialNoun, credentialTarget } from "./credential.ts"
import { type Credential, findCredential, openCredential } from "./read.ts"

/** Marks of where it came from stay as they are. */
function checkBlobChange(before: Credential, text: string): void {
  const [old, next] = [readEc2Blob(before.blob), readEc2Blob(text)]
  for (const key of ["trust_id", "app_cred_id", "access_token_id"]) {
    if (old[key] !== next[key]) throw invalid("blob", `${key} can not be updated for credential`)
  }
}

export const updateCredential = operation({
  name: "identity.credential.update",
  input: Type.Object({ id: Type.String(), changes: credentialNoun.changes }),
  faults: [notFound],
  load: (ctx, { id }) => findCredential(ctx, id),
  rules: ["identity:update_credential"],
  authorize: (_ctx, { changes }, row) => [
    ["identity:update_credential", credentialTarget(row)],
    // Who gives a secret to another user must be allowed there too.
    ["identity:update_credential", credentialTarget(row && { userId: changes.userId ?? row.userId })],
  ],
  run: async (ctx, { id, changes: { blob, ...changes } }, row): Promise<Credential> => {
    const before = found(row, "credential", id)
    refuseOtherProject(ctx.caller, before.projectId)
    const { type, projectId } = { ...before, ...changes }
    refuseOtherProject(ctx.caller, projectId)
    if (projectId !== null && projectId !== before.projectId) await requireKnownProject(ctx, projectId)
    if (isEc2(type) && projectId === null)
      throw invalid("project_id", "Expecting to find project_id in credential of type ec2.")
    // Its id is that of its access key, and its blob says what a login with it may do: both are made at its creation.
    if (isEc2(type) !== isEc2(before.type))
      throw invalid("type", "A credential becomes none of type ec2, and such a one no other; make a new one.")
    if (isEc2(before.type) && blob !== undefined) checkBlobChange(before, blob)
    return await changeIdentity(ctx, async (tx) => {
      const encryptedBlob = seal(ctx, blob ?? before.blob)
      const set = columnsOf(withExtra({ ...changes, encryptedBlob }))
      const after = await updateThing(tx, credentialNoun, everyone, id, set)
      await announce(ctx, tx, "credential", "updated", id)
      return openCredential(ctx, found(after, "credential", id))
    })
  },
})
