import assert from "node:assert/strict"
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { isUuid } from "../../platform/ids/ids.ts"
import { shareIdOf } from "./share-id.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-share-id-"))
after(() => rmSync(root, { recursive: true }))

const make = () => mkdtempSync(join(root, "share-"))

test("all that come at once to a directory get the same id, and so do those that come later", async () => {
  const directory = make()
  const ids = await Promise.all(Array.from({ length: 16 }, () => shareIdOf(directory)))
  assert.equal(new Set(ids).size, 1)
  assert.ok(isUuid(ids[0] ?? ""))
  assert.equal(await shareIdOf(directory), ids[0])
  assert.notEqual(await shareIdOf(make()), ids[0])
  assert.deepEqual(readdirSync(directory), ["share.id"])
})

test("a copy of a directory is another one, and what is no id is made anew", async () => {
  const [directory, copy] = [make(), join(root, "copy")]
  const id = await shareIdOf(directory)
  cpSync(directory, copy, { recursive: true })
  assert.equal(readFileSync(join(copy, "share.id"), "utf8").split(" ")[0], id)
  const other = await shareIdOf(copy)
  assert.notEqual(other, id)
  assert.equal(await shareIdOf(copy), other)
  assert.equal(await shareIdOf(directory), id)
  for (const text of ["", "half of an", `${id} `]) {
    writeFileSync(join(copy, "share.id"), text)
    const again = await shareIdOf(copy)
    assert.ok(isUuid(again) && again !== id)
    assert.equal(await shareIdOf(copy), again)
  }
})
