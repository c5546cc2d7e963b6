// What a file is by its first bytes. A claimed format must agree with it before any tool opens the file, because
// a tool that guesses can be led to read other files of the host (a qcow2 header in a "raw" image).
import { open } from "node:fs/promises"

export type SniffedFormat =
  | "qcow2"
  | "vmdk"
  | "vmdk-descriptor"
  | "vdi"
  | "vhdx"
  | "vhd"
  | "qed"
  | "luks"
  | "iso"

const isoMagicAt = 0x8001
const vdiMagicAt = 0x40

/** Every format that the file could be taken for; empty for plain data. */
export async function sniffFile(path: string): Promise<SniffedFormat[]> {
  await using file = await open(path, "r")
  const { size } = await file.stat()
  const head = Buffer.alloc(Math.min(size, isoMagicAt + 8))
  await file.read(head, 0, head.length, 0)
  const tail = Buffer.alloc(Math.min(size, 512))
  await file.read(tail, 0, tail.length, size - tail.length)
  return sniff(head, tail)
}

/** `head`: the first 32 KiB and some; `tail`: the last 512 bytes. Pure. */
export function sniff(head: Buffer, tail: Buffer): SniffedFormat[] {
  const at = (offset: number, length: number) => head.subarray(offset, offset + length).toString("latin1")
  const found: SniffedFormat[] = []
  if (at(0, 4) === "QFI\xfb") found.push("qcow2")
  if (at(0, 4) === "KDMV" || at(0, 4) === "COWD") found.push("vmdk")
  if (at(0, 21).toLowerCase() === "# disk descriptorfile") found.push("vmdk-descriptor")
  if (head.length > vdiMagicAt + 4 && head.readUInt32LE(vdiMagicAt) === 0xbeda107f) found.push("vdi")
  if (at(0, 8) === "vhdxfile") found.push("vhdx")
  if (at(0, 8) === "conectix" || tail.subarray(0, 8).toString("latin1") === "conectix") found.push("vhd")
  if (at(0, 4) === "QED\0") found.push("qed")
  if (at(0, 6) === "LUKS\xba\xbe") found.push("luks")
  if (["CD001", "NSR02", "NSR03"].includes(at(isoMagicAt, 5))) found.push("iso")
  return found
}
