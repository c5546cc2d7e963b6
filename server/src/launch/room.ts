// Room on the disk, looked at before anything is made: a start on a full disk would end half-way.
import { existsSync } from "node:fs"
import { statfs } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Fault } from "../platform/fault/fault.ts"

const mib = 1024 ** 2
/** A new cloud takes some 180 MiB: the database, its log, the small guest image. */
const newCloudBytes = 256 * mib
/** PostgreSQL needs some to write down what it finds after a crash. */
const startBytes = 32 * mib

/** Throws a fault with the way out when the data directory's file system has too little room for a start. */
export async function checkRoom(dataDir: string): Promise<void> {
  let place = dataDir
  while (!existsSync(place)) place = dirname(place)
  const { bavail, bsize } = await statfs(place)
  const freeBytes = bavail * bsize
  // Written at the end of the first start.
  const isNew = !existsSync(join(dataDir, "endpoint.json"))
  const neededBytes = isNew ? newCloudBytes : startBytes
  if (freeBytes >= neededBytes) return
  const inMib = (bytes: number) => `${Math.floor(bytes / mib)} MiB`
  const found = `The disk is full: ${inMib(freeBytes)} are free for ${dataDir}, and`
  throw new Fault(
    "no_capacity",
    "cli.disk_full",
    isNew
      ? `${found} a new cloud needs ${inMib(neededBytes)}. Make room, or choose a larger disk: --data DIR`
      : `${found} a start needs ${inMib(neededBytes)}. Make room and start again; its data are untouched.`,
  )
}
