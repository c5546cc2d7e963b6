// Secrets of users, of any type. The blob is encrypted in the database; of type `ec2` it is JSON with `access`
// and `secret`.
import { sql } from "kysely"
import { Type } from "typebox"
import { field, inputOnly, nullable, text, time } from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { missingOf } from "../faults.ts"
import { extraField, idField, sorts } from "../read.ts"

const given = { create: "required", update: true } as const

export const credentialNoun = noun({
  name: "identity.credential",
  table: sql`identity.credential`,
  alias: "c",
  fields: {
    id: idField("c"),
    userId: field("text", Type.String({ minLength: 1, maxLength: 64 }), sql`c.user_id`, {
      ...given,
      filter: true,
    }),
    projectId: nullable(text(sql`c.project_id`, { create: true, update: true })),
    type: field("text", Type.String({ minLength: 1, maxLength: 255 }), sql`c.type`, {
      ...given,
      filter: true,
    }),
    blob: inputOnly(Type.String(), given),
    encryptedBlob: text(sql`c.encrypted_blob`, { internal: true }),
    extra: extraField("c"),
    createdAt: time(sql`c.created_at`, { internal: true }),
  },
  order: sorts.byId,
  visible: () => visibleToAll,
  ...missingOf("credential"),
})

export type StoredCredential = Thing<typeof credentialNoun>

export function credentialTarget(credential: { userId: string } | null) {
  return { target: { credential: credential ? { user_id: credential.userId } : undefined } }
}
