export interface CpioEntry {
  path: string
  /** With the file type bits, as in stat. */
  mode: number
  content?: Buffer
  device?: { major: number; minor: number }
}

/**
 * An initramfs archive ("newc"). Written here and not with the cpio program because an ordinary user cannot make the
 * device nodes that program would read, and because everything must belong to root and have no date.
 */
export function writeCpio(entries: CpioEntry[]): Buffer {
  const parts: Buffer[] = []
  const all = [...entries, { path: "TRAILER!!!", mode: 0 }]
  all.forEach((entry, index) => {
    const content = entry.content ?? Buffer.alloc(0)
    const name = Buffer.from(`${entry.path}\0`)
    const device = entry.device ?? { major: 0, minor: 0 }
    const isTrailer = index === all.length - 1
    const fields = [
      isTrailer ? 0 : index + 1,
      entry.mode,
      0,
      0,
      1,
      0,
      content.length,
      0,
      0,
      device.major,
      device.minor,
    ]
    const numbers = [...fields, name.length, 0].map((value) => value.toString(16).padStart(8, "0")).join("")
    parts.push(padded(Buffer.concat([Buffer.from(`070701${numbers}`), name])), padded(content))
  })
  return Buffer.concat(parts)
}

function padded(data: Buffer): Buffer {
  const rest = data.length % 4
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(4 - rest)])
}
