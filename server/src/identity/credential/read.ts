// A credential is kept as it is declared and given with its blob.
import { createHash } from "node:crypto"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { ListQuery } from "../../platform/noun/list.ts"
import type { Listed } from "../../platform/noun/page.ts"
import { operation } from "../../platform/operation/operation.ts"
import { reachesProject, refuseOtherProject } from "../delegation.ts"
import { found, notFound, unknownMarker } from "../faults.ts"
import { find, listRows } from "../read.ts"
import { Id } from "../shapes.ts"
import { credentialNoun, credentialTarget, type StoredCredential } from "./credential.ts"

export interface Credential extends StoredCredential {
  blob: string
}

export function openBlob(platform: Platform, id: string, encryptedBlob: string): string {
  const message = platform.drivers.identity.credentialKeys.decrypt(encryptedBlob)
  if (!message) throw new Error(`credential ${id} was encrypted with a key that is gone`)
  return message.payload.toString("utf8")
}

export function openCredential(platform: Platform, stored: StoredCredential): Credential {
  return { ...stored, blob: openBlob(platform, stored.id, stored.encryptedBlob) }
}

export async function findCredential(
  platform: Platform,
  id: string,
  db: DbOrTx = platform.db,
): Promise<Credential | null> {
  const stored = await find(db, credentialNoun, id)
  return stored && openCredential(platform, stored)
}

/** The id of an EC2 credential follows from its access key, so that it is found by that. */
export function ec2CredentialId(access: string): string {
  return createHash("sha256").update(access, "utf8").digest("hex")
}

export const getCredential = operation({
  name: "identity.credential.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findCredential(ctx, id),
  rule: "identity:get_credential",
  target: (_ctx, _input, row) => credentialTarget(row),
  run: async (ctx, { id }, row) => {
    const credential = found(row, "credential", id)
    refuseOtherProject(ctx.caller, credential.projectId)
    return credential
  },
})

/** Of all that match, those that the caller may see one by one. */
export const listCredentials = operation({
  name: "identity.credential.list",
  input: ListQuery,
  rule: "identity:list_credentials",
  target: (ctx) => credentialTarget({ userId: ctx.caller.userId }),
  run: async (ctx, query): Promise<Listed<Credential>> => {
    const isVisible = (one: Pick<StoredCredential, "userId" | "projectId">) =>
      reachesProject(ctx.caller, one.projectId) &&
      ctx.policy.isAllowed(ctx.caller, "identity:get_credential", credentialTarget(one))
    const marker = query.page?.marker
    if (marker) {
      const last = await find(ctx.db, credentialNoun, marker)
      if (!last || !isVisible(last)) throw unknownMarker(marker)
    }
    const { items, read } = await listRows(ctx, credentialNoun, query)
    const visible = items.filter(isVisible)
    // What he does not see he cannot go on after.
    const lastId = visible.at(-1)?.id ?? null
    return { items: visible.map((row) => openCredential(ctx, row)), read: { ...read, lastId } }
  },
})
