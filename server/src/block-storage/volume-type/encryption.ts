// How the volumes of a type are encrypted. It is said before the first of them is made, and stays while there are any.
import { Type } from "typebox"
import { type DbOrTx, type Tx, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { word } from "../../platform/schema/make.ts"
import {
  typeEncryptionExists,
  typeEncryptionInUse,
  typeEncryptionNotFound,
  volumeTypeNotFound,
} from "../faults.ts"
import { notifyTypeEncryption } from "./notification.ts"
import { visibleType } from "./read.ts"

/** Who encrypts: the machine that has the volume, or the back end. */
export const controlLocations = ["front-end", "back-end"] as const
type ControlLocation = (typeof controlLocations)[number]

export interface TypeEncryption {
  id: string
  volumeTypeId: string
  provider: string
  controlLocation: ControlLocation
  /** Null: what the provider takes by itself. So with the size, which is of bits. */
  cipher: string | null
  keySize: number | null
  createdAt: Date
  updatedAt: Date | null
}

const isLocation = (text: string): text is ControlLocation =>
  (controlLocations as readonly string[]).includes(text)

/**
 * Null: not at all. Of a new volume it is asked in the transaction that inserts it, after that: the row of the volume
 * holds that of the type, so nobody changes the answer any more.
 */
export async function encryptionOfType(db: DbOrTx, volumeTypeId: string): Promise<TypeEncryption | null> {
  const row = await db
    .selectFrom("block_storage.type_encryption")
    .selectAll()
    .where("volume_type_id", "=", volumeTypeId)
    .executeTakeFirst()
  if (!row) return null
  if (!isLocation(row.control_location))
    throw new Error(`control location ${row.control_location} in the database`)
  return {
    id: row.id,
    volumeTypeId: row.volume_type_id,
    provider: row.provider,
    controlLocation: row.control_location,
    cipher: row.cipher,
    keySize: row.key_size,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** The type's row, held until the transaction ends, for a type without volumes. */
async function lockUnused(tx: Tx, id: string, verb: "create" | "update" | "delete"): Promise<void> {
  const type = await tx
    .selectFrom("block_storage.volume_type")
    .select("id")
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst()
  if (!type) throw volumeTypeNotFound(id)
  // A volume that is being made holds the row by its foreign key: then this has waited for it, and sees it.
  const volume = await tx
    .selectFrom("block_storage.volume")
    .select("id")
    // Or is becoming of it.
    .where(({ eb, or }) => or([eb("volume_type_id", "=", id), eb("target_type_id", "=", id)]))
    .limit(1)
    .executeTakeFirst()
  if (volume) throw typeEncryptionInUse(verb)
}

/** Throws when the type has none, or another; an id of null is whichever it has. */
async function ownEncryption(tx: Tx, typeId: string, id: string | null): Promise<TypeEncryption> {
  const encryption = await encryptionOfType(tx, typeId)
  if (!encryption || (id !== null && id !== encryption.id)) throw typeEncryptionNotFound(typeId)
  return encryption
}

const said = {
  provider: Type.String({ minLength: 1, maxLength: 255 }),
  controlLocation: word(controlLocations),
  cipher: Type.Union([Type.String({ maxLength: 255 }), Type.Null()]),
  keySize: Type.Union([Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 }), Type.Null()]),
}
const OfType = { typeId: Type.String(), id: Type.Union([Type.String(), Type.Null()]) }

/** Null: its volumes are not encrypted. */
export const getTypeEncryption = operation({
  name: "block_storage.volume_type.get_encryption",
  input: Type.Object({ typeId: Type.String() }),
  faults: [volumeTypeNotFound],
  load: (ctx, { typeId }) => visibleType(ctx, typeId),
  rule: "volume_extension:volume_type_encryption:get",
  run: (ctx, { typeId }) => encryptionOfType(ctx.db, typeId),
})

export const createTypeEncryption = operation({
  name: "block_storage.volume_type.create_encryption",
  input: Type.Object({ typeId: Type.String(), ...said }),
  faults: [volumeTypeNotFound, typeEncryptionInUse, typeEncryptionExists],
  load: (ctx, { typeId }) => visibleType(ctx, typeId),
  rule: "volume_extension:volume_type_encryption:create",
  run: async (ctx, { typeId, provider, controlLocation, cipher, keySize }): Promise<TypeEncryption> =>
    await transact(ctx.db, async (tx) => {
      await lockUnused(tx, typeId, "create")
      if (await encryptionOfType(tx, typeId)) throw typeEncryptionExists(typeId)
      const [id, createdAt] = [newUuid(), ctx.clock.now()]
      const what = { provider, control_location: controlLocation, cipher, key_size: keySize }
      await tx
        .insertInto("block_storage.type_encryption")
        .values({ id, volume_type_id: typeId, ...what, created_at: createdAt })
        .execute()
      await notifyTypeEncryption(ctx, tx, "create", { type_id: typeId, specs: what })
      return {
        id,
        volumeTypeId: typeId,
        provider,
        controlLocation,
        cipher,
        keySize,
        createdAt,
        updatedAt: null,
      }
    }),
})

/** What is named is set; the rest stays. */
export const updateTypeEncryption = operation({
  name: "block_storage.volume_type.update_encryption",
  input: Type.Object({ ...OfType, changes: Type.Partial(Type.Object(said)) }),
  faults: [volumeTypeNotFound, typeEncryptionInUse, typeEncryptionNotFound],
  load: (ctx, { typeId }) => visibleType(ctx, typeId),
  rule: "volume_extension:volume_type_encryption:update",
  run: async (ctx, { typeId, id: named, changes }) => {
    await transact(ctx.db, async (tx) => {
      await lockUnused(tx, typeId, "update")
      const { id } = await ownEncryption(tx, typeId, named)
      const { provider, controlLocation, cipher, keySize } = changes
      await tx
        .updateTable("block_storage.type_encryption")
        .set({
          provider,
          control_location: controlLocation,
          cipher,
          key_size: keySize,
          updated_at: ctx.clock.now(),
        })
        .where("id", "=", id)
        .execute()
      await notifyTypeEncryption(ctx, tx, "update", { type_id: typeId, id })
    })
  },
})

export const deleteTypeEncryption = operation({
  name: "block_storage.volume_type.delete_encryption",
  input: Type.Object(OfType),
  faults: [volumeTypeNotFound, typeEncryptionInUse, typeEncryptionNotFound],
  load: (ctx, { typeId }) => visibleType(ctx, typeId),
  rule: "volume_extension:volume_type_encryption:delete",
  run: async (ctx, { typeId, id: named }) => {
    await transact(ctx.db, async (tx) => {
      await lockUnused(tx, typeId, "delete")
      const { id } = await ownEncryption(tx, typeId, named)
      await tx.deleteFrom("block_storage.type_encryption").where("id", "=", id).execute()
      await notifyTypeEncryption(ctx, tx, "delete", { type_id: typeId, id })
    })
  },
})
