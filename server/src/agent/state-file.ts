// Small JSON files that are either the old or the new version after any crash: written beside, flushed, renamed.
// `isDurable: false` leaves out the flush (some milliseconds): enough against the death of this process, and after
// the loss of power the old version may be found, or an empty file, which counts as none.
import { mkdirSync, readFileSync } from "node:fs"
import { open, readFile, rename, rm, writeFile } from "node:fs/promises"
import { dirname } from "node:path"

let sequence = 0

export async function writeStateFile(
  path: string,
  value: unknown,
  options: { isDurable?: boolean } = {},
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 })
  const temporary = `${path}.${process.pid}.${++sequence}.tmp`
  try {
    const file = await open(temporary, "w", 0o600)
    try {
      await file.writeFile(`${JSON.stringify(value)}\n`)
      if (options.isDurable ?? true) await file.datasync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    // On a full disk every byte counts.
    await rm(temporary, { force: true })
    throw error
  }
}

/** Written anew when it says something else. */
export async function writeSecretFile(path: string, text: string): Promise<void> {
  const known = await readFile(path, "utf8").catch(() => null)
  if (known === text) return
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 })
  const temporary = `${path}.${process.pid}.${++sequence}.tmp`
  await writeFile(temporary, text, { mode: 0o600 })
  await rename(temporary, path)
}

/** Undefined when there is none. A file that is not JSON is an error: it was not written by `writeStateFile`. */
export function readStateFile(path: string): unknown {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
  return text === "" ? undefined : JSON.parse(text)
}

export async function removeStateFile(path: string): Promise<void> {
  await rm(path, { force: true })
}

/** What was made, renamed or removed in it stays so after a loss of power. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r")
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
