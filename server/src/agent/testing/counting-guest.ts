// A guest that counts on a volume, so that whoever copies it can be told of which moment the copy is.
import assert from "node:assert/strict"
import { randomFillSync } from "node:crypto"
import { closeSync, openSync, readSync, writeFileSync } from "node:fs"
import type { DiskSpec } from "../protocol.ts"
import type { Guest, VolumeGuests } from "./volume-guests.ts"

const mib = 1024 * 1024

/** A volume that takes a while to be copied, with room at both ends for `blockBytes` blocks. */
export async function makeFullVolume(guests: VolumeGuests, sizeBytes: number): Promise<DiskSpec> {
  const disk = await guests.makeVolume(sizeBytes)
  const data = Buffer.alloc(sizeBytes)
  randomFillSync(data, 16 * mib, sizeBytes - 32 * mib)
  writeFileSync(guests.dataOf(disk.name), data, { flag: "r+" })
  return disk
}

export const blockBytes = 4_096

/** The guest writes 1, 2, 3 … to the blocks from the front on and, after each, to those from the end on. */
export async function startCounting(
  guests: VolumeGuests,
  guest: Guest,
  { name, sizeBytes }: DiskSpec,
): Promise<void> {
  const last = sizeBytes / blockBytes
  const put = (at: string) => `dd if=/b of=/dev/$1 bs=${blockBytes} seek=${at} conv=sync,fsync`
  const script = [
    "n=0",
    "while [ -e /counts ]; do n=$((n+1))",
    "echo $n > /b",
    put("$n"),
    put(`$((${last}-n))`),
    "done",
  ]
  await guests.type(guest, "rm -f /w; > /counts")
  for (const line of script) await guests.type(guest, `echo '${line}' >> /w`)
  await guests.tell(guest, name, "sh /w $d 2>/dev/null & echo it counts")
}

/** Before another volume is counted on. */
export async function stopCounting(guests: VolumeGuests, guest: Guest, { name }: DiskSpec): Promise<void> {
  await guests.tell(guest, name, "rm /counts; wait")
}

export interface Counted {
  front: number
  end: number
}

/** How far it had counted, at the front and at the end. */
export function counted(data: Buffer, disk: DiskSpec): Counted {
  const textAt = (at: number) => data.toString("latin1", at, at + 8)
  const told = countedBy(textAt, disk)
  // And nothing behind that.
  const { front } = told
  for (let n = front + 1; n < front + 50; n++) {
    assert.ok(!textAt(n * blockBytes).startsWith(`${n}\n`), `block ${n} after ${front}`)
  }
  return told
}

/** The same of a file that its guest still writes to, without reading all of it. */
export function countedIn(path: string, disk: DiskSpec): Counted {
  const file = openSync(path, "r")
  const start = Buffer.alloc(8)
  try {
    return countedBy((at) => start.toString("latin1", 0, readSync(file, start, 0, 8, at)), disk)
  } finally {
    closeSync(file)
  }
}

function countedBy(textAt: (at: number) => string, { sizeBytes }: DiskSpec): Counted {
  const last = sizeBytes / blockBytes
  const has = (block: number, n: number) => textAt(block * blockBytes).startsWith(`${n}\n`)
  let [front, end] = [0, 0]
  while (has(front + 1, front + 1)) front++
  while (has(last - end - 1, end + 1)) end++
  return { front, end }
}
