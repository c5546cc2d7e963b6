import assert from "node:assert/strict"
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { after, test } from "node:test"
import { newUuid } from "../../../platform/ids/ids.ts"
import { makeRunDirectory, removeRunDirectory, runDirectory } from "./run-directory.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-run-"))
after(() => rmSync(root, { recursive: true }))

test("sockets of a machine with a long path lie in a short one of their own, and go with it", async () => {
  const serverId = newUuid()
  const short = runDirectory(join(root, "vms"), serverId)
  assert.equal(dirname(short.qmpSocket), short.root)
  const long = runDirectory(join(root, "x".repeat(80)), serverId)
  assert.ok(Buffer.byteLength(long.serialSocket) <= 107, long.serialSocket)
  assert.notEqual(dirname(long.qmpSocket), long.root)
  await makeRunDirectory(long)
  assert.equal(statSync(long.sockets).mode & 0o777, 0o700)
  removeRunDirectory(long)
  assert.deepEqual([existsSync(long.root), existsSync(long.sockets)], [false, false])
})

test("only an id makes a path", () => {
  for (const bad of ["../../etc", "", "a/b"]) assert.throws(() => runDirectory(root, bad), /not a server id/)
})
