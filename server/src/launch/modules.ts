// How this program's modules are found. Node looks at several files and folders for each of some 700 modules, and two
// libraries bring as many again: a third of the processor time of a start, and memory. Here a relative import is its
// address, and libraries come from one file each, which the installation made (tools/bundle-libraries.ts). Without
// these files, or after a library was changed, they come as Node finds them.
import { readFileSync } from "node:fs"
import { registerHooks } from "node:module"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const rootDir = join(import.meta.dirname, "../../..")
const sourceUrl = pathToFileURL(join(rootDir, "server/src/")).href

export interface LibraryIndex {
  /** By package, as it was when its files were made. */
  versions: Readonly<Record<string, string>>
  /** By what imports say: a name below `librariesDir`. */
  files: Readonly<Record<string, string>>
}

export const librariesDir = join(rootDir, "node_modules/.cache/libraries")

/** Addresses by what imports say; none when one of the packages is another one now. */
export function findLibraries(dir: string, packagesDir = join(rootDir, "node_modules")): Map<string, string> {
  try {
    // Written by the tool; what is broken there ends below.
    const { versions, files } = JSON.parse(readFileSync(join(dir, "index.json"), "utf8")) as LibraryIndex
    const isOther = ([name, version]: [string, string]) => readVersion(packagesDir, name) !== version
    if (Object.entries(versions).some(isOther)) return new Map()
    return new Map(Object.entries(files).map(([name, file]) => [name, pathToFileURL(join(dir, file)).href]))
  } catch {
    return new Map()
  }
}

export function readVersion(packagesDir: string, name: string): unknown {
  const read: unknown = JSON.parse(readFileSync(join(packagesDir, name, "package.json"), "utf8"))
  return typeof read === "object" && read !== null && "version" in read ? read.version : undefined
}

/** Null: Node's to find. */
export function resolveModule(
  specifier: string,
  importer: string | undefined,
  libraries: ReadonlyMap<string, string>,
): { url: string; format: string } | null {
  if (importer === undefined || !importer.startsWith(sourceUrl)) return null
  const library = libraries.get(specifier)
  if (library !== undefined) return { url: library, format: "module" }
  if (!specifier.startsWith(".") || !specifier.endsWith(".ts")) return null
  return { url: new URL(specifier, importer).href, format: "module-typescript" }
}

/** For every module that is imported from now on. */
export function findModulesFast(): void {
  const libraries = findLibraries(librariesDir)
  registerHooks({
    resolve: (specifier, context, next) => {
      const found = resolveModule(specifier, context.parentURL, libraries)
      return found ? { ...found, shortCircuit: true } : next(specifier, context)
    },
  })
}
