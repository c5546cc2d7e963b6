import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf } from "../../platform/noun/field.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { isDelegated, refuseOtherProject, refuseRestricted } from "../delegation.ts"
import { conflict, notFound } from "../faults.ts"
import { requireKnownProject } from "../project/read.ts"
import { everyone } from "../read.ts"
import { seal } from "../seal.ts"
import { isEc2, readEc2Blob } from "./blob.ts"
import { credentialNoun, credentialTarget } from "./credential.ts"
import { type Credential, ec2CredentialId, openCredential } from "./read.ts"

/** What is made by a delegated token remembers it: a later EC2 login gets no more than that token had. */
function markDelegation(ctx: Ctx, text: string): string {
  const { token } = ctx.caller
  if (!isDelegated(ctx.caller)) return text
  return JSON.stringify({
    ...readEc2Blob(text),
    ...(token?.trustId ? { trust_id: token.trustId } : {}),
    ...(token?.applicationCredentialId ? { app_cred_id: token.applicationCredentialId } : {}),
    ...(token?.accessTokenId ? { access_token_id: token.accessTokenId } : {}),
  })
}

export const createCredential = operation({
  name: "identity.credential.create",
  input: credentialNoun.create,
  faults: [conflict, notFound],
  rule: "identity:create_credential",
  target: (_ctx, input) => credentialTarget(input),
  run: async (ctx, input): Promise<Credential> => {
    const projectId = input.projectId ?? null
    if (isEc2(input.type)) {
      if (projectId === null)
        throw invalid("project_id", "Expecting to find project_id in credential of type ec2.")
      refuseRestricted(ctx.caller, "additional credentials")
    }
    refuseOtherProject(ctx.caller, projectId)
    const id = isEc2(input.type) ? ec2CredentialId(readEc2Blob(input.blob).access) : newHexId()
    if (projectId !== null) await requireKnownProject(ctx, projectId)
    const blob = isEc2(input.type) ? markDelegation(ctx, input.blob) : input.blob
    return await changeIdentity(ctx, async (tx) => {
      const facts = { id, userId: input.userId, projectId, type: input.type, extra: input.extra }
      const values = columnsOf({ ...facts, encryptedBlob: seal(ctx, blob) })
      const made = await insertThing(tx, credentialNoun, everyone, { values })
      if (!made) throw conflict("credential", `Duplicate entry found with access key`)
      await announce(ctx, tx, "credential", "created", id)
      return openCredential(ctx, made)
    })
  },
})
