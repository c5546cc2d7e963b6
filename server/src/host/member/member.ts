import type { DbOrTx } from "../../platform/db/database.ts"

/** A host that may speak as one. */
export interface Member {
  id: string
  name: string
  address: string
  joinedAt: Date
  certificateExpiresAt: Date
  /** It can become the control plane. */
  isControl: boolean
}

function select(db: DbOrTx) {
  return db
    .selectFrom("host.member")
    .select([
      "id",
      "name",
      "address",
      "joined_at as joinedAt",
      "certificate_expires_at as certificateExpiresAt",
      "is_control as isControl",
    ])
    .where("removed_at", "is", null)
}

export async function selectMembers(db: DbOrTx): Promise<Member[]> {
  return await select(db).orderBy("name").execute()
}

export async function selectMember(db: DbOrTx, name: string): Promise<Member | undefined> {
  return await select(db).where("name", "=", name).executeTakeFirst()
}

/** Whose certificate that is; undefined when it is nobody's any more. */
export async function memberOfCertificate(db: DbOrTx, fingerprint: string): Promise<Member | undefined> {
  return await select(db)
    .where((where) =>
      where.or([where("fingerprint", "=", fingerprint), where("previous_fingerprint", "=", fingerprint)]),
    )
    .executeTakeFirst()
}

/** From then on none of its certificates is taken. False: there is no such host. */
export async function removeMember(db: DbOrTx, name: string, now: Date): Promise<boolean> {
  const removed = await db
    .updateTable("host.member")
    .set({ removed_at: now })
    .where("name", "=", name)
    .where("removed_at", "is", null)
    .executeTakeFirst()
  return removed.numUpdatedRows > 0n
}
