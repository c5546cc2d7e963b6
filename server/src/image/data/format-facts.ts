import type { FileHandle } from "node:fs/promises"

export type KnownFormat = "qcow2" | "qed" | "vmdk" | "vhdx" | "vhd" | "vdi" | "iso" | "ploop" | "luks"

export interface FormatFacts {
  /** Null: no mark of any format that we know. */
  format: KnownFormat | null
  virtualSizeBytes: number | null
  /** Why it must not be used at all: it refers to other files, or says what nobody can rely on. */
  danger: string | null
  /** It has the marks of this one, too: what reads it may take it for either. */
  alsoIs?: KnownFormat
}

export async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  return buffer.subarray(0, bytesRead)
}

export const has = (head: Buffer, text: string, at = 0) =>
  head.toString("latin1", at, at + text.length) === text

/** Sizes beyond 2^53 are nonsense; they come out as the largest number that is none. */
export function bytes(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)
}
