// The kernel within a bzImage. QEMU starts it by its PVH entry, and so a guest neither unpacks nor moves it, which
// under tcg is a fifth of what its start costs.
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { basename, join } from "node:path"

/** A file that all tests share, or the bzImage itself where it is packed in another way than Debian's. */
export function bareKernel(bzImage: string): string {
  const { size, mtimeMs } = statSync(bzImage)
  const cache = process.getuid?.() === 0 ? "/var/cache/kumoi" : join(homedir(), ".cache/kumoi")
  const path = join(cache, "kernels", `${basename(bzImage)}-${size}-${Math.trunc(mtimeMs)}`)
  if (existsSync(path)) return path
  const kernel = unpack(readFileSync(bzImage))
  if (!kernel || !hasPvhEntry(kernel)) return bzImage
  mkdirSync(join(cache, "kernels"), { recursive: true })
  const part = `${path}.${process.pid}`
  writeFileSync(part, kernel)
  renameSync(part, path)
  return path
}

const lz4Magic = 0x184c2102

/** What its header says is packed within, see Documentation/arch/x86/boot.rst; null unless that is LZ4. */
function unpack(bzImage: Buffer): Buffer | null {
  const protectedMode = ((bzImage[0x1f1] || 4) + 1) * 512
  const start = protectedMode + bzImage.readUInt32LE(0x248)
  const end = start + bzImage.readUInt32LE(0x24c) - 4
  if (bzImage.readUInt32LE(start) !== lz4Magic) return null
  const kernel = Buffer.alloc(bzImage.readUInt32LE(end))
  let written = 0
  for (let at = start + 4; at < end; ) {
    const next = at + 4 + bzImage.readUInt32LE(at)
    written = unpackBlock(bzImage.subarray(at + 4, next), kernel, written)
    at = next
  }
  return written === kernel.length ? kernel : null
}

function unpackBlock(from: Buffer, to: Buffer, start: number): number {
  let [read, write] = [0, start]
  /** A length of 15 goes on in the bytes that follow, of which the last one is no 255. */
  const length = (first: number) => {
    let sum = first
    for (let more = first === 15 ? 255 : 0; more === 255; sum += more) more = from[read++] ?? 0
    return sum
  }
  while (read < from.length) {
    const token = from[read++] ?? 0
    const literals = length(token >> 4)
    from.copy(to, write, read, read + literals)
    read += literals
    write += literals
    // The last one has nothing to repeat.
    if (read >= from.length) break
    const distance = from.readUInt16LE(read)
    read += 2
    const repeated = length(token & 15) + 4
    if (distance >= repeated) to.copy(to, write, write - distance, write - distance + repeated)
    else for (let n = 0; n < repeated; n++) to[write + n] = to[write + n - distance] ?? 0
    write += repeated
  }
  return write
}

/** The note XEN_ELFNOTE_PHYS32_ENTRY. */
function hasPvhEntry(kernel: Buffer): boolean {
  const note = (size: number) =>
    Buffer.from([4, 0, 0, 0, size, 0, 0, 0, 18, 0, 0, 0, ...Buffer.from("Xen\0")])
  return kernel.includes(note(4)) || kernel.includes(note(8))
}
