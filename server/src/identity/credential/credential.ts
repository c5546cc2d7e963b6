// Secrets of users, of any type. The blob is encrypted in the database; of type `ec2` it is JSON with `access`
// and `secret`.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { isDelegated, reachesProject, refuseOtherProject, refuseRestricted } from "../delegation.ts"
import { conflict, found, notFound } from "../faults.ts"
import { ListInput, listRows } from "../list.ts"
import { requireKnownProject } from "../project/read.ts"
import { type Rows, unknownMarker } from "../read.ts"
import { Extra, Id } from "../shapes.ts"
import {
  type Credential,
  credentialList,
  ec2CredentialId,
  encryptBlob,
  findCredential,
  openCredential,
  type StoredCredential,
} from "./store.ts"

export function credentialTarget(row: { user_id: string } | null) {
  return { target: { credential: row ? { user_id: row.user_id } : undefined } }
}

type Ec2Blob = Record<string, unknown> & { access: string }

function readEc2Blob(text: string): Ec2Blob {
  let blob: unknown
  try {
    blob = JSON.parse(text)
  } catch {
    throw invalid("blob", "Invalid blob in credential: it must be JSON.")
  }
  if (typeof blob !== "object" || blob === null || !("access" in blob) || typeof blob.access !== "string")
    throw invalid("blob", "Expecting to find access in credential, as a string in the JSON of the blob.")
  return { ...blob, access: blob.access }
}

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

function isEc2(type: string): boolean {
  return type.toLowerCase() === "ec2"
}

export const createCredential = operation({
  name: "identity.credential.create",
  input: Type.Object({
    userId: Type.String({ minLength: 1, maxLength: 64 }),
    type: Type.String({ minLength: 1, maxLength: 255 }),
    blob: Type.String(),
    projectId: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    extra: Type.Optional(Extra),
  }),
  faults: [conflict, notFound],
  rule: "identity:create_credential",
  target: (_ctx, input) => credentialTarget({ user_id: input.userId }),
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
    return await changeOrConflict(
      ctx,
      () => conflict("credential", `Duplicate entry found with access key`),
      async (tx) => {
        await tx
          .insertInto("identity.credential")
          .values({
            id,
            user_id: input.userId,
            project_id: projectId,
            type: input.type,
            encrypted_blob: encryptBlob(ctx, blob),
            extra: jsonb(input.extra ?? {}),
          })
          .execute()
        await announce(ctx, tx, "credential", "created", id)
        return found(await findCredential(ctx, id, tx), "credential", id)
      },
    )
  },
})

export const getCredential = operation({
  name: "identity.credential.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findCredential(ctx, id),
  rule: "identity:get_credential",
  target: (_ctx, _input, row) => credentialTarget(row),
  run: async (ctx, { id }, row) => {
    const credential = found(row, "credential", id)
    refuseOtherProject(ctx.caller, credential.project_id)
    return credential
  },
})

/** Of all that match, those that the caller may see one by one. */
export const listCredentials = operation({
  name: "identity.credential.list",
  input: ListInput,
  rule: "identity:list_credentials",
  target: (ctx) => credentialTarget({ user_id: ctx.caller.userId }),
  run: async (ctx, input): Promise<Rows<Credential>> => {
    const isVisible = (row: Pick<StoredCredential, "user_id" | "project_id">) =>
      reachesProject(ctx.caller, row.project_id) &&
      ctx.policy.isAllowed(ctx.caller, "identity:get_credential", credentialTarget(row))
    if (input.marker !== undefined) {
      const last = await findCredential(ctx, input.marker)
      if (!last || !isVisible(last)) throw unknownMarker(input.marker)
    }
    const { rows, nextMarker } = await listRows<StoredCredential>(ctx, credentialList, input)
    const visible = rows.filter(isVisible)
    const last = visible.at(-1)?.id ?? null
    return { rows: visible.map((row) => openCredential(ctx, row)), nextMarker: nextMarker && last }
  },
})

/** Marks of where it came from stay as they are. */
function checkBlobChange(before: Credential, text: string): void {
  const [old, next] = [readEc2Blob(before.blob), readEc2Blob(text)]
  for (const key of ["trust_id", "app_cred_id", "access_token_id"]) {
    if (old[key] !== next[key]) throw invalid("blob", `${key} can not be updated for credential`)
  }
}

export const updateCredential = operation({
  name: "identity.credential.update",
  input: Type.Object({
    id: Type.String(),
    userId: Type.Optional(Type.String()),
    type: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    blob: Type.Optional(Type.String()),
    projectId: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    extra: Type.Optional(Extra),
  }),
  faults: [notFound],
  load: (ctx, { id }) => findCredential(ctx, id),
  rules: ["identity:update_credential"],
  authorize: (_ctx, input, row) => [
    ["identity:update_credential", credentialTarget(row)],
    // Who gives a secret to another user must be allowed there too.
    ["identity:update_credential", credentialTarget(row && { user_id: input.userId ?? row.user_id })],
  ],
  run: async (ctx, input, row): Promise<Credential> => {
    const before = found(row, "credential", input.id)
    refuseOtherProject(ctx.caller, before.project_id)
    const type = input.type ?? before.type
    const projectId = input.projectId === undefined ? before.project_id : input.projectId
    refuseOtherProject(ctx.caller, projectId)
    if (projectId !== null && projectId !== before.project_id) await requireKnownProject(ctx, projectId)
    if (isEc2(type) && projectId === null)
      throw invalid("project_id", "Expecting to find project_id in credential of type ec2.")
    if (isEc2(before.type) && input.blob !== undefined) checkBlobChange(before, input.blob)
    return await changeIdentity(ctx, async (tx) => {
      await tx
        .updateTable("identity.credential")
        .set({
          user_id: input.userId ?? before.user_id,
          type,
          project_id: projectId,
          encrypted_blob: encryptBlob(ctx, input.blob ?? before.blob),
          extra: jsonb({ ...before.extra, ...input.extra }),
        })
        .where("id", "=", input.id)
        .execute()
      await announce(ctx, tx, "credential", "updated", input.id)
      return found(await findCredential(ctx, input.id, tx), "credential", input.id)
    })
  },
})

export const deleteCredential = operation({
  name: "identity.credential.delete",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findCredential(ctx, id),
  rule: "identity:delete_credential",
  target: (_ctx, _input, row) => credentialTarget(row),
  run: async (ctx, { id }, row) => {
    refuseOtherProject(ctx.caller, found(row, "credential", id).project_id)
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.credential").where("id", "=", id).execute()
      await announce(ctx, tx, "credential", "deleted", id)
    })
  },
})
