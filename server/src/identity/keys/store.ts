// The SQL of the keys. A key leaves this file only opened, and enters it only to be sealed.
import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { keysSealedOtherwise } from "../faults.ts"
import { newFernetKeyText } from "./fernet.ts"
import { seal, unseal } from "./key-secret.ts"

export const ringNames = ["token", "receipt", "credential"] as const
export type RingName = (typeof ringNames)[number]

export interface StoredKey {
  ring: RingName
  number: number
  text: string
  createdAt: Date
  /** Null while it is staged. */
  primaryAt: Date | null
}

export interface KeySecret {
  bytes: Buffer
  path: string
}

/** Rotations and first starts come one after the other, in all processes. Held to the end of the transaction. */
export async function lockKeys(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('identity.fernet_key', 0))`.execute(tx)
}

export async function hasKeys(db: DbOrTx): Promise<boolean> {
  const row = await db.selectFrom("identity.fernet_key").select("number").limit(1).executeTakeFirst()
  return row !== undefined
}

/** All keys in the order of their numbers. */
export async function readKeys(db: DbOrTx, secret: KeySecret): Promise<StoredKey[]> {
  const rows = await db
    .selectFrom("identity.fernet_key")
    .selectAll()
    .orderBy("ring")
    .orderBy("number")
    .execute()
  return rows.map((row) => {
    const text = unseal(secret.bytes, placeOf(row.ring, row.number), row.sealed_key)
    if (text === null) throw keysSealedOtherwise(secret.path)
    const { ring, number, created_at: createdAt, primary_at: primaryAt } = row
    return { ring, number, text, createdAt, primaryAt }
  })
}

export async function insertKey(
  tx: Tx,
  secret: KeySecret,
  key: { ring: RingName; number: number; text?: string; createdAt: Date; primaryAt: Date | null },
): Promise<void> {
  await tx
    .insertInto("identity.fernet_key")
    .values({
      ring: key.ring,
      number: key.number,
      sealed_key: seal(secret.bytes, placeOf(key.ring, key.number), key.text ?? newFernetKeyText()),
      created_at: key.createdAt,
      primary_at: key.primaryAt,
    })
    .execute()
}

export async function makePrimary(tx: Tx, ring: RingName, number: number, now: Date): Promise<void> {
  await tx
    .updateTable("identity.fernet_key")
    .set({ primary_at: now })
    .where("ring", "=", ring)
    .where("number", "=", number)
    .where("primary_at", "is", null)
    .returning("number")
    .executeTakeFirstOrThrow()
}

export async function deleteKeys(tx: Tx, ring: RingName, numbers: readonly number[]): Promise<void> {
  if (numbers.length === 0) return
  await tx.deleteFrom("identity.fernet_key").where("ring", "=", ring).where("number", "in", numbers).execute()
}

function placeOf(ring: string, number: number): string {
  return `${ring}/${number}`
}
