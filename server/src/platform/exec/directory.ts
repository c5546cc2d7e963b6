// Directories with all that lead to them. Not Node's recursive mkdir: where the system denies that a directory which
// is there exists (below /proc), that one tries without end.
import { mkdirSync, statSync } from "node:fs"
import { dirname } from "node:path"

/** Makes what is missing on the way to `path`; throws as mkdir does. */
export function makeDirectory(path: string, mode: number): void {
  const missing: string[] = []
  for (let at = path; !statSync(at, { throwIfNoEntry: false })?.isDirectory(); at = dirname(at))
    missing.push(at)
  for (const at of missing.reverse()) {
    try {
      mkdirSync(at, { mode })
    } catch (error) {
      // Somebody else made it a moment ago.
      if (!statSync(at, { throwIfNoEntry: false })?.isDirectory()) throw error
    }
  }
}
