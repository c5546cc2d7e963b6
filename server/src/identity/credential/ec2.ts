// EC2 key pairs (access and secret) of a user for a project; stored as credentials of type `ec2`.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf } from "../../platform/noun/field.ts"
import { insertThing, listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { reachesProject, refuseOtherProject, refuseRestricted } from "../delegation.ts"
import { found, notFound } from "../faults.ts"
import { requireKnownProject } from "../project/read.ts"
import { everyone, find } from "../read.ts"
import { seal } from "../seal.ts"
import { userNoun, userTarget } from "../user/user.ts"
import { credentialNoun, credentialTarget } from "./credential.ts"
import { type Credential, ec2CredentialId, findCredential, openCredential } from "./read.ts"

export interface Ec2Key {
  userId: string
  projectId: string | null
  access: string
  secret: string
  trustId: string | null
  applicationCredentialId: string | null
  accessTokenId: string | null
}

const byKey = Type.Object({ userId: Type.String(), access: Type.String() })

export function ec2KeyOf(credential: Credential): Ec2Key {
  const blob = JSON.parse(credential.blob) as Record<string, string | null | undefined>
  return {
    userId: credential.userId,
    projectId: credential.projectId,
    access: blob.access ?? "",
    secret: blob.secret ?? "",
    trustId: blob.trust_id ?? null,
    applicationCredentialId: blob.app_cred_id ?? null,
    accessTokenId: blob.access_token_id ?? null,
  }
}

export const createEc2Key = operation({
  name: "identity.ec2_credential.create",
  input: Type.Object({ userId: Type.String(), projectId: Type.String() }),
  faults: [notFound],
  rule: "identity:ec2_create_credential",
  target: (_ctx, { userId }) => credentialTarget({ userId }),
  run: async (ctx, { userId, projectId }): Promise<Ec2Key> => {
    refuseRestricted(ctx.caller, "additional credentials")
    found(await find(ctx.db, userNoun, userId), "user", userId)
    await requireKnownProject(ctx, projectId)
    refuseOtherProject(ctx.caller, projectId)
    const { token } = ctx.caller
    const blob = {
      access: newHexId(),
      secret: newHexId(),
      trust_id: token?.trustId ?? null,
      ...(token?.applicationCredentialId ? { app_cred_id: token.applicationCredentialId } : {}),
      ...(token?.accessTokenId ? { access_token_id: token.accessTokenId } : {}),
    }
    const id = ec2CredentialId(blob.access)
    return await changeIdentity(ctx, async (tx) => {
      const encryptedBlob = seal(ctx, JSON.stringify(blob))
      const values = columnsOf({ id, userId, projectId, type: "ec2", encryptedBlob })
      const made = await insertThing(tx, credentialNoun, everyone, { values })
      await announce(ctx, tx, "credential", "created", id)
      return ec2KeyOf(openCredential(ctx, found(made, "credential", id)))
    })
  },
})

export const listEc2Keys = operation({
  name: "identity.ec2_credential.list",
  input: Type.Object({ userId: Type.String() }),
  faults: [notFound],
  load: (ctx, { userId }) => find(ctx.db, userNoun, userId),
  rule: "identity:ec2_list_credentials",
  target: (_ctx, { userId }, row) => ({ ...userTarget(row), user_id: userId }),
  run: async (ctx, { userId }, row): Promise<Ec2Key[]> => {
    found(row, "user", userId)
    const rows = await listThings(ctx.db, credentialNoun, everyone, {
      filters: { userId: [userId], type: ["ec2"] },
      page: { sorts: [{ key: "createdAt", direction: "asc" }] },
    })
    return rows
      .filter((r) => reachesProject(ctx.caller, r.projectId))
      .map((r) => ec2KeyOf(openCredential(ctx, r)))
  },
})

/** Of whomever: the rule decides about the owner of the key and not about the user that the path names. */
async function loadKey(ctx: Ctx, { access }: { access: string }): Promise<Credential> {
  const credential = await findCredential(ctx, ec2CredentialId(access))
  return found(credential?.type === "ec2" ? credential : null, "credential", access)
}

function refuseOtherUser(key: Credential, userId: string, access: string): void {
  if (key.userId !== userId) throw notFound("credential", access)
}

export const getEc2Key = operation({
  name: "identity.ec2_credential.get",
  input: byKey,
  faults: [notFound],
  load: loadKey,
  rule: "identity:ec2_get_credential",
  target: (_ctx, _input, key) => credentialTarget(key),
  run: async (ctx, { userId, access }, key): Promise<Ec2Key> => {
    refuseOtherUser(key, userId, access)
    refuseOtherProject(ctx.caller, key.projectId)
    return ec2KeyOf(key)
  },
})

export const deleteEc2Key = operation({
  name: "identity.ec2_credential.delete",
  input: byKey,
  faults: [notFound],
  load: loadKey,
  rule: "identity:ec2_delete_credential",
  target: (_ctx, _input, key) => credentialTarget(key),
  run: async (ctx, { userId, access }, key) => {
    refuseOtherUser(key, userId, access)
    const { id, projectId } = key
    refuseOtherProject(ctx.caller, projectId)
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.credential").where("id", "=", id).execute()
      await announce(ctx, tx, "credential", "deleted", id)
    })
  },
})
