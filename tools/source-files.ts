// The tree as the checks see it: every TypeScript file with its imports.
import { globSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"

export const root = resolve(import.meta.dirname, "..")

export interface SourceImport {
  /** As written. */
  specifier: string
  /** Path from the root for relative imports; null for packages. */
  target: string | null
  isTypeOnly: boolean
}

export interface SourceFile {
  /** Path from the root. */
  path: string
  text: string
  lines: string[]
  imports: SourceImport[]
}

const importPattern = /^(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm
const dynamicPattern = /\bimport\("([^"]+)"\)/g

export function readSourceFiles(): SourceFile[] {
  const patterns = ["server/**/*.ts", "acceptance/**/*.ts", "bench/**/*.ts", "guest/**/*.ts", "tools/**/*.ts"]
  const paths = globSync(patterns, { cwd: root, exclude: (f) => f === "node_modules" })
  return paths.sort().map((path) => {
    const text = readFileSync(join(root, path), "utf8")
    return { path, text, lines: text.split("\n"), imports: readImports(path, text) }
  })
}

function readImports(path: string, text: string): SourceImport[] {
  const found: SourceImport[] = []
  const add = (specifier: string, isTypeOnly: boolean) => {
    const target = specifier.startsWith(".") ? relative(root, resolve(root, dirname(path), specifier)) : null
    found.push({ specifier, target, isTypeOnly })
  }
  for (const match of text.matchAll(importPattern)) if (match[2]) add(match[2], match[1] !== undefined)
  for (const match of text.matchAll(dynamicPattern)) if (match[1]) add(match[1], true)
  return found
}
