import { open, readdir, stat } from "node:fs/promises"
import { join } from "node:path"

/** Every path below a folder, sorted. Unlike readdir's own recursion it does not follow links out of the folder. */
export async function walk(folder: string, below = ""): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const path = join(below, entry.name)
    found.push(path)
    if (entry.isDirectory()) found.push(...(await walk(folder, path)))
  }
  return found.sort()
}

/** Follows links, as open does. */
export function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** What was written to this file or folder survives a power cut after this. */
export async function syncToDisk(path: string): Promise<void> {
  const file = await open(path, "r")
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
