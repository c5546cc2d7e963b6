// Puts each library of many modules into one file, below node_modules/.cache. The launcher calls this after it has
// installed; server/src/launch/modules.ts finds the files.
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { build } from "esbuild"
import { findLibraries, type LibraryIndex, librariesDir, readVersion } from "../server/src/launch/modules.ts"

/** What the server imports of them. They share what they have in common, so all of it is here. */
export const libraries: Readonly<Record<string, readonly string[]>> = {
  kysely: ["kysely"],
  typebox: ["typebox", "typebox/compile", "typebox/format", "typebox/schema"],
  yaml: ["yaml"],
}

const serverDir = join(import.meta.dirname, "../server")
const fileOf = (specifier: string) => specifier.replaceAll("/", "_")

/** Leaves alone what fits still: a cloud may be running from it. */
export async function bundleLibraries(dir = librariesDir): Promise<void> {
  const specifiers = Object.values(libraries).flat()
  const there = findLibraries(dir)
  if (specifiers.every((specifier) => there.has(specifier))) return
  await mkdir(dirname(dir), { recursive: true })
  const fresh = await mkdtemp(`${dir}.`)
  try {
    await build({
      entryPoints: specifiers.map((specifier) => ({ in: `kumoi:${specifier}`, out: fileOf(specifier) })),
      plugins: [
        {
          name: "all that a library exports",
          setup: (made) => {
            made.onResolve({ filter: /^kumoi:/ }, ({ path }) => ({ path, namespace: "kumoi" }))
            made.onLoad({ filter: /^kumoi:/, namespace: "kumoi" }, async ({ path }) => ({
              contents: await exportsOf(path.slice("kumoi:".length)),
              resolveDir: serverDir,
            }))
          },
        },
      ],
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      target: `node${process.versions.node}`,
      outdir: fresh,
      outExtension: { ".js": ".mjs" },
      minifyWhitespace: true,
      logLevel: "silent",
      // Modules of the older kind ask for Node's own by this.
      banner: {
        js: 'import{createRequire as kumoiRequire}from"node:module";const require=kumoiRequire(import.meta.url);',
      },
    })
    const packagesDir = join(serverDir, "../node_modules")
    const index: LibraryIndex = {
      versions: Object.fromEntries(
        Object.keys(libraries).map((name) => [name, String(readVersion(packagesDir, name))]),
      ),
      files: Object.fromEntries(specifiers.map((specifier) => [specifier, `${fileOf(specifier)}.mjs`])),
    }
    await writeFile(join(fresh, "index.json"), JSON.stringify(index))
    await rm(dir, { recursive: true, force: true })
    await rename(fresh, dir)
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    throw error
  }
}

/** By name: what a module of the older kind exports is known to Node, and not to who reads its text alone. */
async function exportsOf(specifier: string): Promise<string> {
  const names = Object.keys(await import(specifier)).filter((name) => name !== "module.exports")
  return `export { ${names.join(", ")} } from ${JSON.stringify(specifier)}`
}

if (import.meta.main) await bundleLibraries()
