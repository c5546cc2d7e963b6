import { createHash } from "node:crypto"
import { type Selectable, sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { ListSpec } from "../list.ts"
import { seal } from "../seal.ts"
import type { CredentialTable } from "../tables.ts"

export type StoredCredential = Selectable<CredentialTable>

export interface Credential {
  id: string
  user_id: string
  project_id: string | null
  type: string
  blob: string
  extra: Record<string, unknown>
}

export const credentialList: ListSpec = {
  table: sql`identity.credential`,
  columns: { user_id: sql`user_id`, type: sql`type` },
}

export function encryptBlob(platform: Platform, blob: string): string {
  return seal(platform, blob)
}

export function openCredential(platform: Platform, row: StoredCredential): Credential {
  const { id, user_id, project_id, type, extra } = row
  const message = platform.drivers.identity.credentialKeys.decrypt(row.encrypted_blob)
  if (!message) throw new Error(`credential ${id} was encrypted with a key that is gone`)
  return { id, user_id, project_id, type, extra, blob: message.payload.toString("utf8") }
}

export async function findCredential(
  platform: Platform,
  id: string,
  db: DbOrTx = platform.db,
): Promise<Credential | null> {
  const row = await db.selectFrom("identity.credential").selectAll().where("id", "=", id).executeTakeFirst()
  return row ? openCredential(platform, row) : null
}

/** The id of an EC2 credential follows from its access key, so that it is found by that. */
export function ec2CredentialId(access: string): string {
  return createHash("sha256").update(access, "utf8").digest("hex")
}
