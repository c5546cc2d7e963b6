// What a directory is called that hosts share: an id in a file there, which the first that comes makes. With the id the
// file says its own inode number, so a copy of the directory (rsync, tar) has no valid one, and gets another.
import { link, open, readFile, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"

const fileName = "share.id"
/** Somebody else makes it at the same time: one of the two is first. */
const triesMost = 8

/** Hosts that get the same id see the same directory. */
export async function shareIdOf(directory: string): Promise<string> {
  const path = join(directory, fileName)
  for (let left = triesMost; left > 0; left--) {
    const kept = await readId(path)
    if (kept.id !== null) return kept.id
    await makeId(path, { replaces: kept.isThere })
  }
  throw new Error(`${path} is made anew all the time`)
}

async function readId(path: string): Promise<{ id: string | null; isThere: boolean }> {
  const text = await readFile(path, "utf8").catch(ifMissing)
  const facts = text === undefined ? undefined : await stat(path, { bigint: true }).catch(ifMissing)
  if (text === undefined || !facts) return { id: null, isThere: false }
  const [id = "", inode = ""] = text.trim().split(" ")
  return { id: isUuid(id) && inode === String(facts.ino) ? id : null, isThere: true }
}

async function makeId(path: string, { replaces }: { replaces: boolean }): Promise<void> {
  const id = newUuid()
  const temporary = `${path}.${id}.tmp`
  try {
    {
      await using file = await open(temporary, "wx", 0o600)
      const { ino } = await file.stat({ bigint: true })
      await file.writeFile(`${id} ${ino}\n`)
      await file.sync()
    }
    // Whoever is first has made it; a link to a name that is taken fails.
    if (replaces) await rename(temporary, path)
    else await link(temporary, path).catch(ifThere)
  } finally {
    await rm(temporary, { force: true })
  }
}

function ifMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
  throw error
}

function ifThere(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "EEXIST") return undefined
  throw error
}
