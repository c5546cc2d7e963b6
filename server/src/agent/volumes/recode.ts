// A volume's data with and without LUKS around them. Nobody writes to the volume meanwhile, and at any crash it has the
// one or the other, whole: its driver reverts it to a file.
import { copyFile } from "node:fs/promises"
import { agentVolumeNotFound } from "../faults.ts"
import type { VolumeFacts } from "../protocol.ts"
import { decryptFile, encryptFile, isEncryptedWith, type Making } from "./luks.ts"
import type { FileOrigin, VolumeDriver } from "./volume-driver.ts"

interface Recoding {
  becomes: "plain" | "luks"
  /** Of what no path leads to, the data lie there on the way. */
  path: string
  making: Making
}

export async function recodeVolume(
  { volumeId, driver }: { volumeId: string; driver: VolumeDriver },
  { becomes, path, making }: Recoding,
  revert: (write: FileOrigin["write"]) => Promise<VolumeFacts>,
): Promise<VolumeFacts> {
  const facts = await driver.inspect(volumeId)
  if (!facts) throw agentVolumeNotFound(volumeId)
  const volume = await driver.open(volumeId)
  const data = volume.kind === "file" ? volume.path : path
  if (data === path)
    await driver.copyOut(
      volumeId,
      { path, diskFormat: "raw", take: ({ copyStill }) => copyStill() },
      making.signal,
    )
  // Of simulated ones nobody sees whether they are encrypted.
  if (volume.kind === "nothing") return await revert((to) => copyFile(data, to))
  if ((await isEncryptedWith(data, making)) === (becomes === "luks")) return facts
  return await revert(async (to) => {
    if (becomes === "plain") await decryptFile(data, to, making)
    else await encryptFile(data, { to, sizeBytes: facts.sizeBytes, volumeId }, making)
  })
}
