import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { startFakeQmpServer } from "./fake-qmp-server.ts"
import { eventuallyInQemu, QmpClosedError, QmpConnection } from "./index.ts"

const directory = mkdtempSync(join(tmpdir(), "kumoi-qmp-wait-"))
after(() => rmSync(directory, { recursive: true }))

const timeoutMs = 60_000

test("waiting goes on through what QEMU refuses", async () => {
  let asked = 0
  await using server = await startFakeQmpServer(join(directory, "refuses.sock"), () =>
    ++asked < 3 ? { error: { class: "GenericError", desc: "busy" } } : { return: ["there"] },
  )
  await using qmp = await QmpConnection.connect(server.path)
  const there = await eventuallyInQemu("it", () => qmp.execute("query-it"), { timeoutMs, intervalMs: 1 })
  assert.deepEqual(there, ["there"])
  assert.equal(asked, 3)
})

test("waiting ends with the connection, and says so", async () => {
  let asked = 0
  await using server = await startFakeQmpServer(join(directory, "closes.sock"), () => {
    if (++asked === 2) server.hangUp()
    return { return: false }
  })
  await using qmp = await QmpConnection.connect(server.path)
  const ask = async () => (await qmp.execute("query-it")) as boolean
  await assert.rejects(eventuallyInQemu("it", ask, { timeoutMs, intervalMs: 1 }), QmpClosedError)
})
