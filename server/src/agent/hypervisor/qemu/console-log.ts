// The serial console's log. QEMU appends to it (O_APPEND) and keeps it open, also while no agent runs, so it is
// bounded by copying the end away and truncating: what a guest prints between the two is lost, nothing else.
import { statSync } from "node:fs"
import { copyFile, open, readFile, rename, stat, truncate } from "node:fs/promises"
import type { RunDirectory } from "./run-directory.ts"

/** One generation; two are kept, so at least this much can always be shown. */
const generationLimitBytes = 256 * 1024

/** Called about once a second for each machine. */
export async function boundConsoleLog(
  directory: RunDirectory,
  limitBytes = generationLimitBytes,
): Promise<boolean> {
  let sizeBytes: number
  try {
    sizeBytes = statSync(directory.serialLog).size
  } catch {
    return false
  }
  if (sizeBytes <= limitBytes) return false
  const temporary = `${directory.serialLogOld}.tmp`
  if (sizeBytes <= 4 * limitBytes) await copyFile(directory.serialLog, temporary)
  else await copyEnd(directory.serialLog, temporary, sizeBytes, limitBytes)
  await rename(temporary, directory.serialLogOld)
  await truncate(directory.serialLog, 0)
  return true
}

async function copyEnd(from: string, to: string, sizeBytes: number, keepBytes: number): Promise<void> {
  await using source = await open(from, "r")
  await using target = await open(to, "w", 0o600)
  const buffer = Buffer.alloc(keepBytes)
  const { bytesRead } = await source.read(buffer, 0, keepBytes, sizeBytes - keepBytes)
  await target.write(buffer, 0, bytesRead)
}

/** The last `lines` lines of what is kept, as Nova counts them; null for all. */
export async function readConsoleLog(directory: RunDirectory, lines: number | null): Promise<string> {
  const parts: Buffer[] = []
  for (const path of [directory.serialLogOld, directory.serialLog]) {
    try {
      await stat(path)
      parts.push(await readFile(path))
    } catch {
      // A machine that was never started has no log yet.
    }
  }
  return lastLines(Buffer.concat(parts).toString(), lines)
}

/** Nova's way: the text is cut at newlines, the last `lines` pieces are joined; 0 and less give nothing. */
export function lastLines(text: string, lines: number | null): string {
  if (lines === null) return text
  if (lines <= 0) return ""
  return text.split("\n").slice(-lines).join("\n")
}
