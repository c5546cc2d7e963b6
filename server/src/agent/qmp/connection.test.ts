import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { fakeGreeting, startFakeQmpServer } from "./fake-qmp-server.ts"
import {
  pressPowerButton,
  QmpClosedError,
  QmpConnection,
  QmpError,
  QmpProtocolError,
  QmpTimeoutError,
  queryStatus,
} from "./index.ts"

const directory = mkdtempSync(join(tmpdir(), "kumoi-qmp-"))
after(() => rmSync(directory, { recursive: true }))
let count = 0
const socketPath = () => join(directory, `${++count}.sock`)

test("negotiates, then commands get their own answers in whatever order they come", async () => {
  const held: Record<string, unknown>[] = []
  await using server = await startFakeQmpServer(socketPath(), (command) => {
    held.push(command)
    return undefined
  })
  await using qmp = await QmpConnection.connect(server.path)
  assert.equal(qmp.version, "7.2.22")
  const status = queryStatus(qmp)
  const button = pressPowerButton(qmp)
  const held2 = await eventually("both commands", () => held.length === 2 && held)
  for (const command of held2.toReversed()) {
    const name = command.execute
    server.say({
      return: name === "query-status" ? { status: "running", running: true } : {},
      id: command.id,
    })
  }
  assert.deepEqual(await status, { status: "running", running: true })
  await button
  assert.deepEqual(
    server.heard.map((c) => c.execute),
    ["qmp_capabilities", "query-status", "system_powerdown"],
  )
})

test("an error answer is a QmpError with QEMU's class and words", async () => {
  await using server = await startFakeQmpServer(socketPath(), () => ({
    error: { class: "DeviceNotFound", desc: "Device 'x' not found" },
  }))
  await using qmp = await QmpConnection.connect(server.path)
  await assert.rejects(qmp.execute("device_del", { id: "x" }), (error) => {
    assert.ok(error instanceof QmpError)
    assert.equal(error.errorClass, "DeviceNotFound")
    assert.equal(error.message, "device_del: Device 'x' not found")
    return true
  })
})

test("a command without answer ends by its time limit, and its late answer disturbs nobody", async () => {
  await using server = await startFakeQmpServer(socketPath(), (command) =>
    command.execute === "stop" ? undefined : { return: { status: "running", running: true } },
  )
  await using qmp = await QmpConnection.connect(server.path)
  await assert.rejects(qmp.execute("stop", {}, { timeoutMs: 30 }), QmpTimeoutError)
  const late = server.heard.find((c) => c.execute === "stop")
  server.say({ return: { status: "wrong" }, id: late?.id })
  assert.equal((await queryStatus(qmp)).status, "running")
})

test("a server that does not greet is given up", async () => {
  await using server = await startFakeQmpServer(socketPath(), () => undefined, { greeting: null })
  await assert.rejects(QmpConnection.connect(server.path, { connectTimeoutMs: 50 }), QmpTimeoutError)
})

test("no server at all is an error with its cause", async () => {
  await assert.rejects(QmpConnection.connect(join(directory, "none.sock")), /ENOENT/)
})

test("events reach every reader, split lines are put together, and the end of the connection ends them", async () => {
  await using server = await startFakeQmpServer(socketPath(), () => undefined)
  await using qmp = await QmpConnection.connect(server.path)
  const first = qmp.events()
  const second = qmp.events()
  const waiting = qmp.execute("query-status")
  const text = Buffer.from(
    `${JSON.stringify({ event: "STOP", timestamp: { seconds: 1, microseconds: 2500 } })}\r\n` +
      `${JSON.stringify({ event: "SHUTDOWN", data: { guest: true, reason: "名" }, timestamp: { seconds: -1 } })}\n`,
  )
  const cut = text.indexOf("名") + 1
  server.sayRaw(text.subarray(0, 5))
  server.sayRaw(text.subarray(5, cut))
  server.sayRaw(text.subarray(cut))
  for (const reader of [first, second]) {
    assert.deepEqual((await reader.next()).value, { event: "STOP", data: {}, atMs: 1002 })
    assert.deepEqual((await reader.next()).value, {
      event: "SHUTDOWN",
      data: { guest: true, reason: "名" },
      atMs: null,
    })
  }
  server.hangUp()
  await assert.rejects(waiting, QmpClosedError)
  assert.equal((await first.next()).done, true)
  await assert.rejects(qmp.execute("cont"), QmpClosedError)
  assert.equal(await qmp.closed, null)
})

test("what is not QMP closes the connection with that reason", async () => {
  for (const nonsense of ["hello\n", "[1]\n", '{"what": 1}\n']) {
    await using server = await startFakeQmpServer(socketPath(), () => undefined)
    const qmp = await QmpConnection.connect(server.path)
    server.sayRaw(nonsense)
    assert.ok((await qmp.closed) instanceof QmpProtocolError)
  }
})

test("a reader that is aborted ends, and the wire log sees both directions", async () => {
  await using server = await startFakeQmpServer(socketPath(), () => ({ return: {} }), {
    greeting: fakeGreeting,
  })
  const wire: string[] = []
  await using qmp = await QmpConnection.connect(server.path, { onWire: (way, line) => wire.push(way + line) })
  const abort = new AbortController()
  const reader = qmp.events(abort.signal)
  const next = reader.next()
  abort.abort()
  assert.equal((await next).done, true)
  assert.match(wire.join("\n"), /in.*QMP[\s\S]*out.*qmp_capabilities/)
})
