// What a how-to shows is tried: its files compile, are tidy and pass their tests in a copy of the tree.
import assert from "node:assert/strict"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { addLines, readBlocks, tryHowTo } from "../../tools/how-to.ts"
import { startTestPostgres, testServerVariable } from "./database.ts"

const root = join(import.meta.dirname, "../..")
// One for all that is run in the copies: each would start its own and make its schema there.
process.env[testServerVariable] ??= (await startTestPostgres()).url

for (const path of globSync("docs/how-to/*.md", { cwd: root }).sort()) {
  const markdown = readFileSync(join(root, path), "utf8")
  if (readBlocks(markdown).length === 0) continue
  test(`${path} works as it stands`, async () => {
    assert.equal(await tryHowTo(markdown), undefined)
  })
}

const example = (result: string) => `
Some words, and a command:

\`\`\`sh
./kumoi up
\`\`\`

\`\`\`ts
// server/src/platform/ids/double.ts
export function double(value: number): number {
  return ${result}
}
\`\`\`

\`\`\`ts
// server/src/platform/ids/double.test.ts
import assert from "node:assert/strict"
import { test } from "node:test"
import { double } from "./double.ts"

test("twice as much", () => {
  assert.equal(double(2), 4)
})
\`\`\`
`

test("blocks that name a file are read, others are not", () => {
  assert.deepEqual(
    readBlocks(example("2 * value")).map(({ path }) => path),
    ["server/src/platform/ids/double.ts", "server/src/platform/ids/double.test.ts"],
  )
})

test("lines for a file that is there go where they belong", () => {
  const text = `// About.\nimport { a } from "./a.ts"\n\nexport const all = [\n  a,\n]\n`
  assert.equal(
    addLines(text, `import { b } from "./b.ts"\n  b,\n`),
    `// About.\nimport { a } from "./a.ts"\nimport { b } from "./b.ts"\n\nexport const all = [\n  a,\n  b,\n]\n`,
  )
})

test("an example that is right is found right", async () => {
  assert.equal(await tryHowTo(example("2 * value")), undefined)
})

test("one whose types are wrong is not", async () => {
  assert.match((await tryHowTo(example("String(value)"))) ?? "", /^tsc [\s\S]*double\.ts/)
})

test("one whose test fails is not", async () => {
  assert.match((await tryHowTo(example("3 * value"))) ?? "", /twice as much/)
})
