// Keys as their rows have them, of volumes and of what is kept of volumes: sealed for the cloud, each in a place of its
// own.
import { openLasting, sealLasting } from "../../identity/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { volumeKeyLost } from "../faults.ts"
import type { TypeEncryption } from "../volume-type/encryption.ts"

/** Of the data of an image that was made of an encrypted volume, to the host; the image says raw. */
export const luksFormat = "luks"

export type How = Pick<TypeEncryption, "provider" | "controlLocation" | "cipher" | "keySize">

export function isAlike(one: How, other: How): boolean {
  const fields = ["provider", "controlLocation", "cipher", "keySize"] as const
  return fields.every((field) => one[field] === other[field])
}

export interface StoredKey extends How {
  id: string
  sealed: string
}

/** As the tables of keys have it. */
export interface KeyRow {
  id: string
  sealed: string
  provider: string
  control_location: string
  cipher: string | null
  key_size: number | null
}

export function keyOfRow(row: KeyRow): StoredKey {
  const { id, sealed, provider, cipher, control_location, key_size: keySize } = row
  // Of `type_encryption`, which has no others.
  const controlLocation = control_location as How["controlLocation"]
  return { id, sealed, provider, cipher, controlLocation, keySize }
}

/** The same passphrase as a key of its own. */
export function newKeyRow(ctx: Platform, how: How, passphrase: string): KeyRow {
  const id = newUuid()
  return {
    id,
    sealed: sealLasting(ctx, placeOf(id), passphrase),
    provider: how.provider,
    control_location: how.controlLocation,
    cipher: how.cipher,
    key_size: how.keySize,
  }
}

export async function selectKey(db: DbOrTx, volumeId: string): Promise<StoredKey | undefined> {
  const row = await db
    .selectFrom("block_storage.volume_key")
    .selectAll()
    .where("volume_id", "=", volumeId)
    .executeTakeFirst()
  return row && keyOfRow(row)
}

/** `ownerId`: what has the key, for the words of the refusal. */
export function passphraseOf(platform: Platform, ownerId: string, { id, sealed }: StoredKey): string {
  const passphrase = openLasting(platform, placeOf(id), sealed)
  if (passphrase === null) throw volumeKeyLost(ownerId)
  return passphrase
}

const placeOf = (keyId: string) => `block_storage.volume_key/${keyId}`

/** Of what was made of a volume and outlives it. */
export interface KeptKey extends StoredKey {
  /** Of that volume. */
  volumeTypeId: string | null
}

export async function keyOfBackup(db: DbOrTx, backupId: string): Promise<KeptKey | undefined> {
  const row = await db
    .selectFrom("block_storage.backup_key")
    .selectAll()
    .where("backup_id", "=", backupId)
    .executeTakeFirst()
  return row && { ...keyOfRow(row), volumeTypeId: row.volume_type_id }
}

export async function keyOfImage(db: DbOrTx, imageId: string): Promise<KeptKey | undefined> {
  const row = await db
    .selectFrom("block_storage.image_key")
    .selectAll()
    .where("image_id", "=", imageId)
    .executeTakeFirst()
  return row && { ...keyOfRow(row), volumeTypeId: row.volume_type_id }
}
