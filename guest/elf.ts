const PT_LOAD = 1
const PT_DYNAMIC = 2
const DT_NEEDED = 1
const DT_STRTAB = 5
const DT_RPATH = 15
const DT_RUNPATH = 29

export interface ElfNeeds {
  /** Names like libc.so.6. */
  libraries: string[]
  /** Folders that the file itself says its libraries are in. */
  searchPath: string[]
  interpreter: string | undefined
}

/** Reads which libraries a 64-bit program wants, without running it (ldd would). Undefined when it is no such file. */
export function readElfNeeds(file: Buffer): ElfNeeds | undefined {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2) return undefined
  const segments = readSegments(file)
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC)
  const needs: ElfNeeds = { libraries: [], searchPath: [], interpreter: undefined }
  if (!dynamic) return needs
  const entries: { tag: number; value: number }[] = []
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    entries.push({ tag: Number(file.readBigInt64LE(at)), value: Number(file.readBigUInt64LE(at + 8)) })
  }
  const table = entries.find((entry) => entry.tag === DT_STRTAB)?.value ?? 0
  const holder = segments.find(
    (segment) =>
      segment.type === PT_LOAD && table >= segment.address && table < segment.address + segment.size,
  )
  if (!holder) return needs
  const strings = table - holder.address + holder.offset
  for (const { tag, value } of entries) {
    if (tag === 0) break
    if (tag === DT_NEEDED) needs.libraries.push(readText(file, strings + value))
    if (tag === DT_RPATH || tag === DT_RUNPATH)
      needs.searchPath.push(...readText(file, strings + value).split(":"))
  }
  const interpreter = segments.find((segment) => segment.type === 3)
  if (interpreter) needs.interpreter = readText(file, interpreter.offset)
  return needs
}

interface Segment {
  type: number
  offset: number
  address: number
  size: number
}

function readSegments(file: Buffer): Segment[] {
  const start = Number(file.readBigUInt64LE(32))
  const entrySize = file.readUInt16LE(54)
  const count = file.readUInt16LE(56)
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * entrySize
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      size: Number(file.readBigUInt64LE(at + 32)),
    }
  })
}

function readText(file: Buffer, at: number): string {
  return file.toString("latin1", at, file.indexOf(0, at))
}
