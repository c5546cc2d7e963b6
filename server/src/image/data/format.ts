// What a file really is, by its own marks, read without running anything on it: an upload may be built to hurt the
// program that opens it. Facts of the formats: qcow2 (QEMU docs/interop/qcow2.txt), VMDK 5.0, VHD and VDI headers.
import { type FileHandle, open } from "node:fs/promises"

export type KnownFormat = "qcow2" | "qed" | "vmdk" | "vhdx" | "vhd" | "vdi" | "iso" | "ploop"

export interface FormatFacts {
  /** Null: no mark of any format that we know. */
  format: KnownFormat | null
  virtualSizeBytes: number | null
  /** Why it must not be used at all: it refers to other files. */
  danger: string | null
}

const headBytes = 4096
const isoMarkAt = 0x8001

export async function detectFormat(path: string): Promise<FormatFacts> {
  const file = await open(path, "r")
  try {
    const { size } = await file.stat()
    const head = await readAt(file, 0, headBytes)
    const facts = fromHead(head) ?? (await fromVmdk(file, head)) ?? (await fromVhdFooter(file, head, size))
    if (facts) return facts
    const mark = await readAt(file, isoMarkAt, 5)
    if (mark.toString("latin1") === "CD001") return { format: "iso", virtualSizeBytes: size, danger: null }
    return { format: null, virtualSizeBytes: size, danger: null }
  } finally {
    await file.close()
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  return buffer.subarray(0, bytesRead)
}

const has = (head: Buffer, text: string, at = 0) => head.toString("latin1", at, at + text.length) === text

/** Sizes beyond 2^53 are nonsense; they come out as the largest number that is none. */
function bytes(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)
}

function fromHead(head: Buffer): FormatFacts | undefined {
  if (has(head, "QFI\xfb") && head.length >= 104) return fromQcow2(head)
  if (has(head, "QED\0") && head.length >= 64) {
    const hasBacking = (head.readBigUInt64LE(16) & 1n) !== 0n
    return {
      format: "qed",
      virtualSizeBytes: bytes(head.readBigUInt64LE(48)),
      danger: hasBacking ? "it has a backing file" : null,
    }
  }
  if (has(head, "vhdxfile")) return { format: "vhdx", virtualSizeBytes: null, danger: null }
  if (head.length >= 0x178 && head.readUInt32LE(0x40) === 0xbeda107f) {
    // 3 is an undo image, 4 a differencing one: both need their parent.
    const type = head.readUInt32LE(0x4c)
    return {
      format: "vdi",
      virtualSizeBytes: bytes(head.readBigUInt64LE(0x170)),
      danger: type === 1 || type === 2 ? null : "it is a difference to another image",
    }
  }
  if (has(head, "WithoutFreeSpace") || has(head, "WithouFreSpacExt"))
    return { format: "ploop", virtualSizeBytes: null, danger: null }
  return undefined
}

const externalDataFile = 4n

function fromQcow2(head: Buffer): FormatFacts {
  const version = head.readUInt32BE(4)
  const backing = head.readBigUInt64BE(8)
  const features = version >= 3 ? head.readBigUInt64BE(72) : 0n
  const danger =
    backing !== 0n
      ? "it has a backing file"
      : (features & externalDataFile) !== 0n
        ? "it has an external data file"
        : null
  return { format: "qcow2", virtualSizeBytes: bytes(head.readBigUInt64BE(24)), danger }
}

const sectorBytes = 512n
const descriptorBytesMax = 65_536n
/** All other types have their data in further files or on a device. */
const wholeTypes = new Set(["monolithicSparse", "streamOptimized"])

async function fromVmdk(file: FileHandle, head: Buffer): Promise<FormatFacts | undefined> {
  const text = head.toString("latin1")
  if (/^\s*# Disk DescriptorFile/.test(text))
    return { format: "vmdk", virtualSizeBytes: null, danger: "its data are in other files" }
  if (has(head, "COWD"))
    return { format: "vmdk", virtualSizeBytes: null, danger: "its data are in other files" }
  if (!has(head, "KDMV") || head.length < 48) return undefined
  const virtualSizeBytes = bytes(head.readBigUInt64LE(12) * sectorBytes)
  const at = head.readBigUInt64LE(28) * sectorBytes
  const size = head.readBigUInt64LE(36) * sectorBytes
  if (at === 0n || size === 0n || size > descriptorBytesMax || at > 2n ** 40n)
    return { format: "vmdk", virtualSizeBytes, danger: "its descriptor is missing or not sane" }
  const descriptor = (await readAt(file, Number(at), Number(size))).toString("latin1")
  return { format: "vmdk", virtualSizeBytes, danger: dangerOf(descriptor) }
}

/**
 * Of what a VMDK says of itself. Blanks become single ones first: no pattern may stand for more than one of them, as
 * its time would grow with a power of their number. QEMU goes on after the end of a line, and so do the patterns.
 */
function dangerOf(descriptor: string): string | null {
  const text = descriptor.replaceAll(/[^\S\r\n]+/g, " ").replaceAll(/ ?[\r\n]\s*/g, "\n")
  const type = /^ ?createType\s?=\s?"([^"]*)"/im.exec(text)?.[1]
  if (type === undefined || !wholeTypes.has(type))
    return `its type ${JSON.stringify(type ?? "")} needs other files`
  // Looked at and not taken: the next extent may begin within the quotes of this one.
  const extents = text.matchAll(/^ ?(?:RW|RDONLY|NOACCESS)\s\d+\s\S+\s(?="([^"]*)")/gim)
  const hasPath = [...extents].some(([, name = ""]) => /[/\\]/.test(name))
  const hasParent = /^ ?parentFileNameHint\s?=/im.test(text)
  return hasPath || hasParent ? "its data are in other files" : null
}

const footerBytes = 512

async function fromVhdFooter(file: FileHandle, head: Buffer, size: number): Promise<FormatFacts | undefined> {
  // A dynamic disk has a copy of its footer at the start; a fixed one only the footer.
  const isDynamic = has(head, "conectix")
  const footer = isDynamic
    ? head
    : size >= footerBytes
      ? await readAt(file, size - footerBytes, footerBytes)
      : head
  if (!has(footer, "conectix") || footer.length < 64) return undefined
  const type = footer.readUInt32BE(60)
  return {
    format: "vhd",
    virtualSizeBytes: bytes(footer.readBigUInt64BE(48)),
    danger: type === 4 ? "it is a difference to another image" : null,
  }
}
