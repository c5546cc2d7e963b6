// The "newc" archive that the kernel takes as an initramfs.

export interface CpioEntry {
  path: string
  /** Unix mode with the type bits, e.g. 0o100755 or 0o040755. */
  mode: number
  data: Uint8Array
}

export function packInitramfs(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = []
  const all = [...entries, { path: "TRAILER!!!", mode: 0, data: new Uint8Array() }]
  for (const [index, entry] of all.entries()) {
    const name = Buffer.from(`${entry.path}\0`)
    const hex = (value: number) => value.toString(16).padStart(8, "0")
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    const fields = [index + 1, entry.mode, 0, 0, 1, 0, entry.data.length, 0, 0, 0, 0, name.length, 0]
    parts.push(padded(Buffer.concat([Buffer.from(`070701${fields.map(hex).join("")}`), name])))
    parts.push(padded(Buffer.from(entry.data)))
  }
  return Buffer.concat(parts)
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)])
}
