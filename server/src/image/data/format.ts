// What a file really is, by its own marks, read without running anything on it: an upload may be built to hurt the
// program that opens it. Facts of the formats: qcow2 (QEMU docs/interop/qcow2.txt), VHD and VDI headers, volume
// descriptors of ISO 9660 and UDF.
import { type FileHandle, open } from "node:fs/promises"
import { bytes, type FormatFacts, has, readAt } from "./format-facts.ts"
import { fromVmdk } from "./format-vmdk.ts"

const headBytes = 4096
/** A disk may begin with anything, and be a CD as well. */
const isoMarkAt = 0x8001
const isoMarks = new Set(["CD001", "NSR02", "NSR03"])

export async function detectFormat(path: string): Promise<FormatFacts> {
  const file = await open(path, "r")
  try {
    const { size } = await file.stat()
    const head = await readAt(file, 0, headBytes)
    const mark = (await readAt(file, isoMarkAt, 5)).toString("latin1")
    const iso = isoMarks.has(mark)
      ? { format: "iso" as const, virtualSizeBytes: size, danger: null }
      : undefined
    const vdi = fromVdi(head)
    const facts =
      fromHead(head) ?? (await fromVmdk(file, head, size)) ?? vdi ?? (await fromVhd(file, head, size))
    const also = [vdi, iso].find((each) => each && each.format !== facts?.format)
    if (facts) return { ...facts, ...(also?.format ? { alsoIs: also.format } : {}) }
    return iso ?? { format: null, virtualSizeBytes: size, danger: null }
  } finally {
    await file.close()
  }
}

function fromHead(head: Buffer): FormatFacts | undefined {
  if (has(head, "QFI\xfb")) return fromQcow2(head)
  if (has(head, "QED\0")) return { format: "qed", virtualSizeBytes: null, danger: "no machine can use qed" }
  if (has(head, "vhdxfile")) return { format: "vhdx", virtualSizeBytes: null, danger: null }
  if (has(head, "LUKS\xba\xbe")) return { format: "luks", virtualSizeBytes: null, danger: null }
  if (has(head, "WithoutFreeSpace") || has(head, "WithouFreSpacExt"))
    return { format: "ploop", virtualSizeBytes: null, danger: null }
  return undefined
}

function fromVdi(head: Buffer): FormatFacts | undefined {
  if (head.length < 0x178 || head.readUInt32LE(0x40) !== 0xbeda107f) return undefined
  // 3 is an undo image, 4 a differencing one: both need their parent.
  const type = head.readUInt32LE(0x4c)
  return {
    format: "vdi",
    virtualSizeBytes: bytes(head.readBigUInt64LE(0x170)),
    danger: type === 1 || type === 2 ? null : "it is a difference to another image",
  }
}

const headerBytes = 104
const externalDataFile = 1n << 2n
/** Dirty, corrupt, external data file, compression type, extended L2 entries. Another one may change the meaning. */
const knownFeatures = 0b1_1111n

function fromQcow2(head: Buffer): FormatFacts {
  // QEMU reads the shorter header of version 2 as well; nobody makes a file that has only that.
  if (head.length < headerBytes)
    return { format: "qcow2", virtualSizeBytes: null, danger: "its header is not whole" }
  const virtualSizeBytes = bytes(head.readBigUInt64BE(24))
  return { format: "qcow2", virtualSizeBytes, danger: dangerOfQcow2(head) }
}

function dangerOfQcow2(head: Buffer): string | null {
  const version = head.readUInt32BE(4)
  if (version !== 2 && version !== 3) return `it is qcow of version ${version}`
  if (head.readBigUInt64BE(8) !== 0n) return "it has a backing file"
  const features = version === 3 ? head.readBigUInt64BE(72) : 0n
  if ((features & externalDataFile) !== 0n) return "it has an external data file"
  return (features & ~knownFeatures) === 0n ? null : "it has features that are not known"
}

const footerBytes = 512

async function fromVhd(file: FileHandle, head: Buffer, size: number): Promise<FormatFacts | undefined> {
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
