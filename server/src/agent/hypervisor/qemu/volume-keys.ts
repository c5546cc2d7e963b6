// Keys of encrypted volumes on their way to QEMU: in files that are there only while it starts, as it reads them before
// it gives up root, and over QMP when it runs. It wants a key for opening a volume alone.
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { agentVolumeKeyMissing } from "../../faults.ts"
import type { DiskSpec } from "../../protocol.ts"
import { addObject, deleteObject, QmpError } from "../../qmp/index.ts"
import type { VolumeKeys } from "../../volumes/volume-keys.ts"
import { isEncrypted, type QemuObject, volumeNames } from "./devices.ts"
import type { QemuMachine } from "./machine.ts"
import type { RunDirectory } from "./run-directory.ts"

/** As `-object`. */
export function keyObject({ keys }: Pick<RunDirectory, "keys">, volumeId: string): QemuObject {
  return { "qom-type": "secret", id: volumeNames(volumeId).key, file: join(keys, volumeId) }
}

export async function withKeyFiles<T>(
  { keys: dir }: Pick<RunDirectory, "keys">,
  disks: readonly DiskSpec[],
  keys: VolumeKeys | undefined,
  task: () => Promise<T>,
): Promise<T> {
  const encrypted = disks.filter(isEncrypted)
  if (encrypted.length === 0) return await task()
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    for (const { name } of encrypted)
      await writeFile(join(dir, name), await passphraseOf(name, keys), { mode: 0o600 })
    return await task()
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** QEMU knows the key of the disk until `task` is over, if it is one of an encrypted volume. */
export async function tellingKey(
  machine: QemuMachine,
  disk: DiskSpec,
  keys: VolumeKeys | undefined,
  task: () => Promise<void>,
): Promise<void> {
  if (!isEncrypted(disk)) return await task()
  const data = await passphraseOf(disk.name, keys)
  await tellingSecret(machine, { "qom-type": "secret", id: volumeNames(disk.name).key, data }, task)
}

export async function tellingSecret(
  machine: QemuMachine,
  secret: QemuObject,
  task: () => Promise<void>,
): Promise<void> {
  const qmp = await machine.qmp("plug a volume")
  // Of an earlier try, or of the start.
  await deleteObject(qmp, secret.id).catch(ifQmpError)
  await addObject(qmp, secret)
  try {
    await task()
  } finally {
    await deleteObject(qmp, secret.id).catch(ifQmpError)
  }
}

async function passphraseOf(volumeId: string, keys: VolumeKeys | undefined): Promise<string> {
  if (!keys) throw agentVolumeKeyMissing(volumeId)
  return (await keys.of(volumeId)).passphrase
}

function ifQmpError(error: unknown): void {
  if (!(error instanceof QmpError)) throw error
}
