// Encrypted volumes. Each has a key of its own, from its creation to its end: a new one, or its source's, as what is
// made of encrypted data is the same data. The host that the volume lies on is given it, and nobody else. The data of a
// restore bring the backup's key.
import { randomBytes } from "node:crypto"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { inputInvalid, volumeInvalid, volumeKeyRefused } from "../faults.ts"
import { encryptionOfType } from "../volume-type/encryption.ts"
import type { VolumeType } from "../volume-type/volume-type.ts"
import type { VolumeOrigin } from "./create.ts"
import {
  type How,
  isAlike,
  keyOfBackup,
  keyOfImage,
  luksFormat,
  newKeyRow,
  passphraseOf,
  type StoredKey,
  selectKey,
} from "./stored-key.ts"
import type { Volume } from "./volume.ts"

const passphraseBytes = 32
const defaultCipher = "aes-xts-plain64"
const defaultKeySize = 256

/** Nova's and os-brick's names of it. Hosts decrypt by QEMU, which knows the first version of LUKS. */
const providers: ReadonlySet<string> = new Set([
  "luks",
  "LuksEncryptor",
  "nova.volume.encryptors.luks.LuksEncryptor",
  "os_brick.encryptors.luks.LuksEncryptor",
])
const ciphers = /^(aes|serpent|twofish)-((xts|cbc)-plain(64)?|cbc-essiv:sha256)$/
const keySizes: ReadonlySet<number> = new Set([128, 256])

type Owner = Pick<Volume, "id" | "isMultiattach"> & { type: Pick<VolumeType, "id" | "name"> }

/**
 * Gives the new volume its key, if it is to have one. After its row is there: that holds the type's, so nobody changes
 * how the type is encrypted. Throws for what cannot be made encrypted, or cannot be made so any more.
 */
export async function giveKey(ctx: Ctx, tx: Tx, volume: Owner, source: VolumeOrigin): Promise<boolean> {
  const { id, name } = volume.type
  const wanted = await encryptionOfType(tx, id)
  const isOfKey = source.kind !== "blank" && (source.kind !== "image" || source.diskFormat === luksFormat)
  if (!isOfKey) {
    if (!wanted) return false
    checkSupported(volume, wanted)
    await insertKey(ctx, tx, volume.id, wanted, randomBytes(passphraseBytes).toString("base64url"))
    return true
  }
  const key = await keyOfSource(tx, source)
  if (!key && source.kind === "image") throw inputInvalid(`Image ${source.imageId} could not be found.`)
  if (!key !== !wanted)
    throw inputInvalid(
      `Invalid volume_type: the source is ${key ? "" : "not "}encrypted, and volumes of type ${name} are` +
        `${key ? " not" : ""}; ${source.kind === "backup" ? "name another one" : "leave volume_type out"}.`,
    )
  if (!key) return false
  checkSupported(volume, key)
  await insertKey(ctx, tx, volume.id, key, passphraseOf(ctx, volume.id, key))
  return true
}

async function keyOfSource(
  tx: Tx,
  source: Exclude<VolumeOrigin, { kind: "blank" }>,
): Promise<StoredKey | undefined> {
  if (source.kind === "image") return await keyOfImage(tx, source.imageId)
  if (source.kind === "backup") return await keyOfBackup(tx, source.id)
  return await selectKey(tx, source.kind === "volume" ? source.id : await volumeOfSnapshot(tx, source.id))
}

/** The volume whose data they are. */
async function volumeOfSnapshot(tx: Tx, snapshotId: string): Promise<string> {
  const { volume_id: volumeId } = await tx
    .selectFrom("block_storage.snapshot")
    .select("volume_id")
    .where("id", "=", snapshotId)
    .executeTakeFirstOrThrow()
  return volumeId
}

function checkSupported({ type: { name }, isMultiattach }: Owner, how: How): void {
  const refuse = (why: string) => inputInvalid(`Invalid volume_type ${name}: ${why}`)
  const { provider, controlLocation, cipher, keySize } = how
  if (isMultiattach) throw refuse("volumes that several servers may have are not encrypted.")
  if (!providers.has(provider))
    throw refuse(`no host encrypts by the provider ${provider}; luks would be right.`)
  if (controlLocation !== "front-end")
    throw refuse("no back end encrypts by itself; control_location front-end would be right.")
  if (cipher !== null && !ciphers.test(cipher))
    throw refuse(`no host encrypts with the cipher ${cipher}; ${defaultCipher} would be right.`)
  if (keySize !== null && !keySizes.has(keySize) && !(keySize === 512 && cipher?.includes("-xts-") !== false))
    throw refuse(`no host encrypts with keys of ${keySize} bits; 256 would be right.`)
}

/** Other services' words for what cannot be done with the volume's data alone. */
export function refuseEncrypted({ id, encryptionKeyId }: Volume, what: string): void {
  if (encryptionKeyId !== null) throw volumeInvalid(`Volume ${id} is encrypted, and ${what}.`)
}

/** What the data of a volume are. */
export type Coding = "plain" | "luks"

/**
 * What the data of a volume have to become for the other type; null: they are that already. True until the transaction
 * ends. Throws `inputInvalid`.
 */
export async function codingFor(
  tx: Tx,
  volumeId: string,
  type: Pick<VolumeType, "id" | "name">,
): Promise<Coding | null> {
  await tx
    .selectFrom("block_storage.volume_type")
    .select("id")
    .where("id", "=", type.id)
    .forKeyShare()
    .execute()
  const key = await selectKey(tx, volumeId)
  const wanted = await encryptionOfType(tx, type.id)
  if (!key) return wanted ? "luks" : null
  if (!wanted) return "plain"
  if (isAlike(key, wanted)) return null
  throw inputInvalid(
    `Retype is not possible: volumes of type ${type.name} are encrypted in another way than volume ${volumeId}; a type ` +
      "without encryption in between would do.",
  )
}

/** Of a volume that is claimed. Until the end nobody may call it well. */
export async function beginRecoding(ctx: Ctx, tx: Tx, volume: Owner, becomes: Coding): Promise<void> {
  if (becomes === "luks") await giveKey(ctx, tx, volume, { kind: "blank" })
  await tx
    .updateTable("block_storage.volume_key")
    .set({ is_in_doubt: true })
    .where("volume_id", "=", volume.id)
    .execute()
}

/** With the row that says what its data are now. */
export async function endRecoding(tx: Tx, volumeId: string, has: Coding): Promise<void> {
  if (has === "plain")
    await tx.deleteFrom("block_storage.volume_key").where("volume_id", "=", volumeId).execute()
  else
    await tx
      .updateTable("block_storage.volume_key")
      .set({ is_in_doubt: false })
      .where("volume_id", "=", volumeId)
      .execute()
}

/** For the host that has the volume, or to which it is going, or whose machine reaches it from there. */
export async function openVolumeKey(
  platform: Platform,
  { host, volumeId }: { host: string; volumeId: string },
): Promise<{ passphrase: string; cipher: string; keySizeBits: number }> {
  const row = isUuid(volumeId)
    ? await platform.db
        .selectFrom("block_storage.volume")
        .select("id")
        .where("id", "=", volumeId)
        .where(({ eb, or, exists, selectFrom }) =>
          or([
            eb("host", "=", host),
            eb("target_host", "=", host),
            exists(
              selectFrom("block_storage.attachment as a")
                .select("a.id")
                .whereRef("a.volume_id", "=", "block_storage.volume.id")
                .where("a.is_of_server", "=", true)
                .where("a.host", "=", host),
            ),
          ]),
        )
        .executeTakeFirst()
    : undefined
  const key = row && (await selectKey(platform.db, row.id))
  if (!key) throw volumeKeyRefused(volumeId)
  const passphrase = passphraseOf(platform, volumeId, key)
  return { passphrase, cipher: key.cipher ?? defaultCipher, keySizeBits: key.keySize ?? defaultKeySize }
}

async function insertKey(ctx: Ctx, tx: Tx, volumeId: string, how: How, passphrase: string): Promise<void> {
  await tx
    .insertInto("block_storage.volume_key")
    .values({ volume_id: volumeId, ...newKeyRow(ctx, how, passphrase) })
    .execute()
}
