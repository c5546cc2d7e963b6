// The disks of a machine: qcow2 overlays over cached images, and sparse raw files, formatted when they have a
// label. A disk that the last accepted spec does not mention was left by a crash and is made anew: nothing starts
// before the spec is written, so no guest can have used it.
import { existsSync } from "node:fs"
import { chmod, open, readdir, rename, rm, stat, truncate } from "node:fs/promises"
import { join } from "node:path"
import { exec } from "../../../platform/exec/exec.ts"
import { agentDiskTooSmall } from "../../faults.ts"
import type { DiskSpec } from "../../protocol.ts"
import { checkHeader, convertInto, createOverlay, growImage } from "../../qemu-img.ts"
import type { EnsureInput, LocalImage, LocalVolume } from "../hypervisor.ts"
import { type DiskNames, isEncrypted, namedDisks, type QemuObject, volumeNames } from "./devices.ts"
import { type RemoteNode, remoteNode } from "./remote-volume.ts"
import type { RunDirectory } from "./run-directory.ts"
import { keyObject } from "./volume-keys.ts"

/** How QEMU opens a disk. */
export interface DiskFile {
  disk: DiskSpec
  names: DiskNames
  /** Empty for one that is remote. */
  path: string
  remote: RemoteNode | null
  /** What QEMU is started with to open it. */
  key: QemuObject | null
  format: "raw" | "qcow2"
  backing: { path: string; format: "raw" | "qcow2" } | null
  isReadOnly: boolean
  isCdrom: boolean
  /** Null: as QEMU has it. */
  cache: { isDirect: boolean } | null
}

const own = { remote: null, key: null, backing: null, isReadOnly: false, isCdrom: false, cache: null }

const imageToolTimeoutMs = 120_000
const copyTimeoutMs = 3_600_000

export function diskFiles(directory: RunDirectory, input: EnsureInput): DiskFile[] {
  return namedDisks(input.spec.disks).map(({ disk, names }) => fileOf(directory, input, disk, names))
}

function fileOf(directory: RunDirectory, input: EnsureInput, disk: DiskSpec, names: DiskNames): DiskFile {
  if (disk.source.kind === "volume") {
    const key = isEncrypted(disk) ? keyObject(directory, disk.name) : null
    return { ...volumeFile(disk, input.volumes?.[disk.name]), key }
  }
  if (disk.source.kind === "blank") {
    return { ...own, disk, names, path: diskPath(directory, disk, "raw"), format: "raw" }
  }
  const image = imageOf(input, disk)
  if (disk.isCdrom ?? disk.source.diskFormat === "iso") {
    return { ...own, disk, names, path: image.path, format: image.format, isReadOnly: true, isCdrom: true }
  }
  const backing = { path: image.path, format: image.format }
  return { ...own, disk, names, path: diskPath(directory, disk, "qcow2"), format: "qcow2", backing }
}

export function volumeFile(disk: DiskSpec, volume: LocalVolume | undefined): DiskFile {
  if (volume === undefined || volume.kind === "nothing")
    throw new Error(`QEMU was not told how to open volume ${disk.name}`)
  const names = volumeNames(disk.name)
  if (volume.kind !== "file") {
    const remote = remoteNode(volume, names.node)
    return { ...own, disk, names, path: "", remote, format: "raw", cache: { isDirect: true } }
  }
  const { path, format, isDirect } = volume
  return { ...own, disk, names, path, format, cache: { isDirect } }
}

function imageOf(input: EnsureInput, disk: DiskSpec): LocalImage {
  const image = input.imageFiles[disk.name]
  if (!image) throw new Error(`no image file was given for disk ${disk.name}`)
  return image
}

function diskPath(directory: RunDirectory, disk: DiskSpec, format: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(disk.name)) throw new Error(`not a disk name: ${disk.name}`)
  return join(directory.disks, `${disk.name}.${format}`)
}

/** Makes what is missing, grows what is too small, removes what the spec no longer has. The machine is off. */
export async function ensureDisks(
  directory: RunDirectory,
  input: EnsureInput,
  prior: EnsureInput | null,
): Promise<void> {
  const files = diskFiles(directory, input)
  for (const file of files) {
    // A volume was there before the machine, and is there after it.
    if (file.isCdrom || file.disk.source.kind === "volume") continue
    const before = prior?.spec.disks.find((disk) => disk.name === file.disk.name)
    const isSame = before !== undefined && sameSource(before, file.disk) && existsSync(file.path)
    if (!isSame) await makeDisk(file, input)
    else if (file.disk.sizeBytes > before.sizeBytes) await growDisk(file)
  }
  const wanted = new Set(files.map((file) => file.path))
  for (const name of await readdir(directory.disks)) {
    const path = join(directory.disks, name)
    if (!wanted.has(path)) await rm(path, { force: true, recursive: true })
  }
}

function sameSource(a: DiskSpec, b: DiskSpec): boolean {
  if (a.source.kind === "image" && b.source.kind === "image") {
    return a.source.imageId === b.source.imageId && a.source.checksum === b.source.checksum
  }
  return a.source.kind === b.source.kind
}

async function makeDisk(file: DiskFile, input: EnsureInput): Promise<void> {
  const temporary = `${file.path}.tmp`
  await rm(temporary, { force: true })
  if (file.backing) await makeOverlay(temporary, file, imageOf(input, file.disk))
  else await makeBlank(temporary, file.disk, input.spec.properties)
  await chmod(temporary, 0o600)
  await rename(temporary, file.path)
}

async function makeOverlay(path: string, file: DiskFile, image: LocalImage): Promise<void> {
  // Size 0 asks for the size of the image, as flavors without a root disk do.
  const sizeBytes = file.disk.sizeBytes || image.virtualSizeBytes
  if (sizeBytes < image.virtualSizeBytes) {
    throw agentDiskTooSmall(file.disk.name, sizeBytes, image.virtualSizeBytes)
  }
  await createOverlay(path, image, sizeBytes, imageToolTimeoutMs)
}

/** Writes the image into a new file of this disk's size, which then takes its place. The machine is off. */
export async function replaceDisk(file: DiskFile, input: EnsureInput, image: LocalImage): Promise<void> {
  const { path, disk } = file
  const sizeBytes = disk.sizeBytes || image.virtualSizeBytes
  if (image.virtualSizeBytes > sizeBytes)
    throw agentDiskTooSmall(disk.name, sizeBytes, image.virtualSizeBytes)
  const temporary = `${path}.received`
  await rm(temporary, { force: true })
  if (file.backing) await makeOverlay(temporary, file, imageOf(input, disk))
  else await makeEmpty(temporary, sizeBytes)
  try {
    // Into a file that is there: also where the image has nothing, so that the backing file does not show through.
    const options = ["-n", "-O", file.format, "-t", "writeback"]
    await convertInto(image, temporary, { options, timeoutMs: copyTimeoutMs })
    await chmod(temporary, 0o600)
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}

async function makeEmpty(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, "wx", 0o600)
  await file.close()
  await truncate(path, sizeBytes)
}

async function makeBlank(path: string, disk: DiskSpec, properties: Record<string, string>): Promise<void> {
  await makeEmpty(path, disk.sizeBytes)
  const label = disk.source.kind === "blank" ? disk.source.fsLabel : null
  if (label === null) return
  const options = { timeoutMs: imageToolTimeoutMs }
  if (disk.name === "swap") {
    await exec("mkswap", ["-q", "-L", label, path], options)
  } else if (properties.ephemeral_format === "vfat") {
    await exec("mkfs.vfat", ["-n", label.slice(0, 11), path], options)
  } else {
    const lazy = ["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"]
    await exec("mkfs.ext4", ["-q", "-F", "-L", label.slice(0, 16), ...lazy, path], options)
  }
}

async function growDisk(file: DiskFile): Promise<void> {
  if (file.format === "raw") {
    const { size } = await stat(file.path)
    if (size < file.disk.sizeBytes) await truncate(file.path, file.disk.sizeBytes)
    return
  }
  await growImage(file, file.disk.sizeBytes, imageToolTimeoutMs)
}

/** QEMU opens them as root, and only then becomes who it is to be. None of the machine's runs now. */
export async function checkDisks(directory: RunDirectory, input: EnsureInput): Promise<void> {
  for (const file of diskFiles(directory, input)) if (file.path !== "") await checkHeader(file)
}
