// Until keys lay in the database they were files of DIR/identity, in Keystone's layout: `0` staged, the highest number
// signs. A cloud of that time takes them over at its first start.
import { readdir, readFile, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { RingName } from "./store.ts"

const directories: Readonly<Record<RingName, string>> = {
  token: "fernet-keys",
  receipt: "receipt-keys",
  credential: "credential-keys",
}

export interface KeyFile {
  text: string
  createdAt: Date
  primaryAt: Date | null
}

/** Oldest first, the staged one last. */
export async function readKeyFiles(directory: string, ring: RingName): Promise<KeyFile[]> {
  const path = join(directory, directories[ring])
  const names = await readdir(path).catch(() => [])
  const numbers = names.filter((name) => /^\d+$/.test(name)).map(Number)
  const signing = numbers.filter((n) => n > 0).sort((a, b) => a - b)
  // A staged key that nobody could sign with is not worth keeping.
  if (signing.length === 0) return []
  const inOrder = numbers.includes(0) ? [...signing, 0] : signing
  return await Promise.all(
    inOrder.map(async (n) => {
      const file = join(path, String(n))
      const { mtime } = await stat(file)
      const text = (await readFile(file, "utf8")).trim()
      return { text, createdAt: mtime, primaryAt: n === 0 ? null : mtime }
    }),
  )
}

/** Once the keys are in the database, sealed, the open ones must not lie about. */
export async function removeKeyFiles(
  directory: string,
  ring: RingName,
  isKnown: (text: string) => boolean,
): Promise<void> {
  const files = await readKeyFiles(directory, ring)
  // Keys that the database does not have are another cloud's: not ours to remove.
  if (files.every((file) => isKnown(file.text)))
    await rm(join(directory, directories[ring]), { recursive: true, force: true })
}
