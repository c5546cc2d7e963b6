// Volumes of QEMU machines: in the process when there is one, and in what the next one is started from.
import { chown, readFile } from "node:fs/promises"
import { agentMachineStateWrong } from "../../faults.ts"
import type { DiskSpec } from "../../protocol.ts"
import { writeStateFile } from "../../state-file.ts"
import { withDisk, withoutVolume, withVolumesOf } from "../../volumes/volume-disks.ts"
import type { VolumeKeys } from "../../volumes/volume-keys.ts"
import type { EnsureInput, LocalVolume } from "../hypervisor.ts"
import { type DiskFile, volumeFile } from "./disks.ts"
import { hotplugVolume, hotunplugVolume, showVolumeSize } from "./hotplug.ts"
import type { QemuMachine } from "./machine.ts"
import { reachedBy } from "./reach.ts"
import { savedVolumeIds } from "./saved-line.ts"
import { readSavedLine } from "./suspend.ts"
import { tellingKey, tellingSecret } from "./volume-keys.ts"

type User = { uid: number; gid: number } | null

/** What opens the volumes of a machine that runs. */
export interface Opening {
  runAs: User
  keys: VolumeKeys | undefined
}

/** For a machine that runs as `now`. */
export function keepingVolumes(input: EnsureInput, now: EnsureInput | null): EnsureInput {
  if (!now) return input
  return { ...input, spec: withVolumesOf(input.spec, now.spec), volumes: now.volumes ?? {} }
}

export async function plugVolume(
  machine: QemuMachine,
  input: EnsureInput,
  disk: DiskSpec,
  volume: LocalVolume,
  { runAs, keys }: Opening,
): Promise<void> {
  const volumes = { ...input.volumes, [disk.name]: volume }
  const next = { ...input, spec: withDisk(input.spec, disk), volumes }
  if (machine.isAlive) await plugLiving(machine, next, disk, { runAs, keys })
  await writeStateFile(machine.directory.spec, next)
}

export async function unplugVolume(
  machine: QemuMachine,
  input: EnsureInput,
  volumeId: string,
): Promise<void> {
  if (machine.isAlive) await hotunplugVolume(machine, volumeId)
  else if (savedVolumeIds(readSavedLine(machine.directory) ?? []).includes(volumeId)) {
    // Its guest has not let go of it, and holds what it has not written yet.
    throw agentMachineStateWrong("take a volume from", "suspended")
  }
  const { [volumeId]: _gone, ...volumes } = input.volumes ?? {}
  await writeStateFile(machine.directory.spec, {
    ...input,
    spec: withoutVolume(input.spec, volumeId),
    volumes,
  })
}

export async function growVolume(
  machine: QemuMachine,
  input: EnsureInput,
  volumeId: string,
  sizeBytes: number,
): Promise<void> {
  const disk = input.spec.disks.find(({ name }) => name === volumeId)
  if (!disk) return
  if (machine.isAlive) await showVolumeSize(machine, volumeId, sizeBytes)
  await writeStateFile(machine.directory.spec, {
    ...input,
    spec: withDisk(input.spec, { ...disk, sizeBytes }),
  })
}

/** Those that were given to a machine while it was suspended. */
export async function plugNewVolumes(
  machine: QemuMachine,
  input: EnsureInput,
  had: readonly string[],
  opening: Opening,
): Promise<void> {
  for (const disk of input.spec.disks) {
    if (disk.source.kind === "volume" && !had.includes(disk.name))
      await plugLiving(machine, input, disk, opening)
  }
}

async function plugLiving(
  machine: QemuMachine,
  input: EnsureInput,
  disk: DiskSpec,
  { runAs, keys }: Opening,
): Promise<void> {
  const file = volumeFile(disk, input.volumes?.[disk.name])
  const { remote } = file
  const plug = (reached: DiskFile, open: (task: () => Promise<void>) => Promise<void>) =>
    hotplugVolume(machine, input, reached, (task) => tellingKey(machine, disk, keys, () => open(task)))
  if (remote) {
    const { file: keyFile, ...secret } = remote.secret
    const data = (await readFile(keyFile, "utf8")).trim()
    return await plug(file, (task) => tellingSecret(machine, { ...secret, data }, task))
  }
  const reached = { ...file, path: reachedBy(machine, file.path) }
  await plug(reached, (task) => lend(file.path, runAs, task))
}

/** QEMU that has given up root opens a file as the user that it has become, so for the moment it is that user's. */
export async function lend(path: string, runAs: User, task: () => Promise<void>): Promise<void> {
  if (!runAs) return await task()
  await chown(path, runAs.uid, runAs.gid)
  try {
    await task()
  } finally {
    await chown(path, process.getuid?.() ?? 0, process.getgid?.() ?? 0)
  }
}
