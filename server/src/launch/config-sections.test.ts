import assert from "node:assert/strict"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { declaredSections } from "../platform/config/config.ts"
import { declareConfigSections } from "./config-sections.ts"

const source = join(import.meta.dirname, "..")

test("every section of the configuration is declared, and no service is loaded for it", async () => {
  const files = globSync("**/config.ts", { cwd: source })
  const named = files.flatMap((file) =>
    [...readFileSync(join(source, file), "utf8").matchAll(/= configSection\(\s*"(\w+)"/g)].map(
      ([, name]) => name,
    ),
  )
  await declareConfigSections()
  assert.deepEqual(
    declaredSections()
      .map(({ name }) => name)
      .sort(),
    named.sort(),
  )
})
