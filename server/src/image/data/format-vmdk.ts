// VMDK, of which a file may be the whole disk, a part, or a text that names files anywhere. Only what is whole in one
// file is harmless, and only as far as its descriptor is understood to the last line: QEMU looks in it for words,
// wherever they stand, so whatever could be read in two ways is refused. Facts: VMware's Virtual Disk Format 5.0,
// block/vmdk.c.
import type { FileHandle } from "node:fs/promises"
import { bytes, type FormatFacts, has, readAt } from "./format-facts.ts"

const sectorBytes = 512
const descriptorBytesMax = 65_536
const headerBytes = 64
/** All other types have their data in further files or on a device. */
const wholeTypes = new Set(["monolithicsparse", "streamoptimized"])
/** The grain directory is at the end, and so is the header that counts. */
const atEnd = 2n ** 64n - 1n

export async function fromVmdk(
  file: FileHandle,
  head: Buffer,
  size: number,
): Promise<FormatFacts | undefined> {
  const otherFiles = { format: "vmdk" as const, virtualSizeBytes: null, danger: inOtherFiles }
  if (/^\s*# Disk DescriptorFile/i.test(head.toString("latin1"))) return otherFiles
  if (has(head, "COWD")) return otherFiles
  if (!has(head, "KDMV")) return undefined
  if (head.length < headerBytes)
    return { format: "vmdk", virtualSizeBytes: null, danger: "its header is not whole" }
  const header = readHeader(head)
  const virtualSizeBytes = bytes(header.capacity * BigInt(sectorBytes))
  const danger = dangerOfHeader(header) ?? (await dangerOfFooter(file, header, size))
  if (danger !== null) return { format: "vmdk", virtualSizeBytes, danger }
  const descriptor = await readAt(file, sectorBytes, Number(header.descriptorSectors) * sectorBytes)
  return { format: "vmdk", virtualSizeBytes, danger: dangerOfDescriptor(descriptor.toString("latin1")) }
}

const inOtherFiles = "its data are in other files"
const notSane = "its descriptor is missing or not sane"

interface Header {
  version: number
  capacity: bigint
  descriptorAt: bigint
  descriptorSectors: bigint
  grainDirectoryAt: bigint
}

function readHeader(from: Buffer): Header {
  return {
    version: from.readUInt32LE(4),
    capacity: from.readBigUInt64LE(12),
    descriptorAt: from.readBigUInt64LE(28),
    descriptorSectors: from.readBigUInt64LE(36),
    grainDirectoryAt: from.readBigUInt64LE(56),
  }
}

function dangerOfHeader({ version, capacity, descriptorAt, descriptorSectors }: Header): string | null {
  if (version < 1 || version > 3) return `it is vmdk of version ${version}`
  // Without a size it is its descriptor that counts, as of a text.
  if (capacity === 0n) return inOtherFiles
  const isThere = descriptorAt === 1n && descriptorSectors > 0n
  return isThere && descriptorSectors <= BigInt(descriptorBytesMax / sectorBytes) ? null : notSane
}

const footerSectors = 3
const footerMark = 3

/** The marker of the footer, the footer, and the marker of the end: the footer must say what the header says. */
async function dangerOfFooter(file: FileHandle, header: Header, size: number): Promise<string | null> {
  if (header.grainDirectoryAt !== atEnd) return null
  const wrong = "its footer is not what its header says"
  const end = await readAt(file, Math.max(0, size - footerSectors * sectorBytes), footerSectors * sectorBytes)
  if (end.length < footerSectors * sectorBytes) return wrong
  const [mark, last] = [end.subarray(0, sectorBytes), end.subarray(2 * sectorBytes)]
  const footer = end.subarray(sectorBytes)
  const said = readHeader(footer)
  const isSame =
    has(footer, "KDMV") &&
    said.version === header.version &&
    said.capacity === header.capacity &&
    said.descriptorAt === header.descriptorAt &&
    said.descriptorSectors === header.descriptorSectors &&
    said.grainDirectoryAt !== atEnd
  const isMarked =
    mark.readUInt32LE(8) === 0 &&
    mark.readUInt32LE(12) === footerMark &&
    mark.subarray(16).every((byte) => byte === 0) &&
    last.every((byte) => byte === 0)
  return isSame && isMarked ? null : wrong
}

const extent = /^(?:rw|rdonly|noaccess)(?: |$)/

function dangerOfDescriptor(padded: string): string | null {
  const text = padded.split("\0", 1)[0]?.toLowerCase() ?? ""
  // Nothing by which a line could end for one reader and go on for another.
  if (/[^\t\r\n\x20-\x7e]/.test(text)) return notSane
  if (text.includes("parentfilenamehint")) return inOtherFiles
  const lines = text.split(/\r?\n/).map((line) => line.replaceAll("\t", " ").trim())
  const type = lines.flatMap((line) => /^createtype="([^"]*)"$/.exec(line)?.[1] ?? []).join()
  if (!wholeTypes.has(type) || text.split("createtype").length !== 2)
    return `its type ${JSON.stringify(type.slice(0, 64))} needs other files`
  let extents = 0
  for (const line of lines) {
    if (line === "" || line.startsWith("#") || line.startsWith("ddb")) continue
    if (extent.test(line)) {
      extents++
      if (/[/\\]/.test(line)) return inOtherFiles
    } else if (!/^[^\s=]+=/.test(line) || line.includes("\r")) return notSane
  }
  return extents === 0 ? notSane : null
}
