import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { eventually, systemClock } from "../clock/clock.ts"
import { exec } from "../exec/exec.ts"
import { OvsdbClient } from "./client.ts"
import { OvsdbError, OvsdbUnavailable } from "./errors.ts"
import { byUuid } from "./operation.ts"

const serverProgram = "/usr/sbin/ovsdb-server"
const schemaFile = "/usr/share/ovn/ovn-nb.ovsschema"
const skip =
  existsSync(serverProgram) && existsSync(schemaFile) ? false : "needs openvswitch-switch and ovn-central"

const dir = mkdtempSync(join(tmpdir(), "kumoi-ovsdb-"))
const socketPath = join(dir, "db.sock")
let server: ChildProcess | undefined

async function startServer(): Promise<void> {
  rmSync(socketPath, { force: true })
  server = spawn(
    serverProgram,
    [join(dir, "nb.db"), `--remote=punix:${socketPath}`, `--unixctl=${join(dir, "ctl")}`, "--no-chdir"],
    { stdio: "ignore" },
  )
  await eventually("ovsdb-server to listen", () => existsSync(socketPath))
}

async function endServer(): Promise<void> {
  const running = server
  server = undefined
  if (!running) return
  const gone = new Promise((resolve) => running.once("exit", resolve))
  running.kill("SIGKILL")
  await gone
}

function connect(): OvsdbClient {
  const tables = { Logical_Switch: [], Logical_Switch_Port: ["name", "addresses", "options", "enabled"] }
  return new OvsdbClient({ socketPath, database: "OVN_Northbound", tables })
}

before(async () => {
  if (skip) return
  await exec("ovsdb-tool", ["create", join(dir, "nb.db"), schemaFile])
  await startServer()
})

after(async () => {
  await endServer()
  rmSync(dir, { recursive: true })
})

test("rows are inserted by name, changed, followed and removed", { skip }, async () => {
  const client = connect()
  const watcher = connect()
  try {
    await Promise.all([client.ready(), watcher.ready()])
    const [portResult, switchResult] = await client.transact([
      {
        op: "insert",
        table: "Logical_Switch_Port",
        row: { name: "p1", addresses: ["unknown"] },
        name: "port1",
      },
      {
        op: "insert",
        table: "Logical_Switch",
        row: { name: "s1", ports: [{ named: "port1" }], other_config: { a: "1", b: "2" } },
      },
    ])
    const port = portResult?.uuid ?? ""
    const switch1 = switchResult?.uuid ?? ""
    const row = client.table("Logical_Switch").get(switch1)
    assert.deepEqual(row?.ports, [port])
    assert.deepEqual(row?.other_config, { a: "1", b: "2" })
    assert.deepEqual(client.table("Logical_Switch_Port").get(port)?.enabled, [])

    await client.transact([
      {
        op: "mutate",
        table: "Logical_Switch",
        where: byUuid(switch1),
        mutations: [
          ["other_config", "deleteKeys", ["a"]],
          ["other_config", "insert", { c: "3" }],
        ],
      },
      {
        op: "update",
        table: "Logical_Switch_Port",
        where: [["name", "==", "p1"]],
        row: { enabled: [false] },
      },
    ])
    assert.deepEqual(client.table("Logical_Switch").get(switch1)?.other_config, { b: "2", c: "3" })
    assert.deepEqual(client.table("Logical_Switch_Port").get(port)?.enabled, [false])
    await client.transact([
      { op: "update", table: "Logical_Switch_Port", where: byUuid(port), row: { enabled: [true] } },
      { op: "update", table: "Logical_Switch", where: byUuid(switch1), row: { other_config: { b: "9" } } },
    ])
    await eventually("the other session to see it", () => {
      const enabled = watcher.table("Logical_Switch_Port").get(port)?.enabled
      return JSON.stringify(enabled) === "[true]"
    })
    assert.deepEqual(watcher.table("Logical_Switch").get(switch1)?.other_config, { b: "9" })
    await client.transact([{ op: "delete", table: "Logical_Switch", where: byUuid(switch1) }])
    assert.equal(client.table("Logical_Switch").size, 0)
    assert.equal(client.table("Logical_Switch_Port").size, 0, "a row that nothing refers to goes with it")
  } finally {
    await Promise.all([client.close(), watcher.close()])
  }
})

test("an own write is in the replica when transact returns", { skip }, async () => {
  const client = connect()
  try {
    await client.ready()
    for (let i = 0; i < 200; i++) {
      const [result] = await client.transact([
        { op: "insert", table: "Logical_Switch", row: { name: `n${i}` } },
      ])
      assert.equal(client.table("Logical_Switch").get(result?.uuid ?? "")?.name, `n${i}`)
    }
    await client.transact([{ op: "delete", table: "Logical_Switch", where: [] }])
    assert.equal(client.table("Logical_Switch").size, 0)
  } finally {
    await client.close()
  }
})

test("a refused transaction names its operation and leaves nothing", { skip }, async () => {
  const client = connect()
  try {
    await client.ready()
    const port = { op: "insert", table: "Logical_Switch_Port", row: { name: "same" } } as const
    const twice = client.transact([
      { ...port, name: "a" },
      { ...port, name: "b" },
      { op: "insert", table: "Logical_Switch", row: { name: "s", ports: [{ named: "a" }, { named: "b" }] } },
    ])
    await assert.rejects(twice, (error) => error instanceof OvsdbError && /constraint/.test(error.message))
    const wait = client.transact([
      {
        op: "wait",
        table: "Logical_Switch",
        where: [["name", "==", "none"]],
        columns: ["name"],
        until: "==",
        rows: [{ name: "none" }],
        timeoutMs: 0,
      },
    ])
    await assert.rejects(wait, (error) => error instanceof OvsdbError && error.operationIndex === 0)
    assert.equal(client.table("Logical_Switch").size, 0)
    await assert.rejects(client.transact([{ op: "delete", table: "Nothing", where: [] }]), /rror|Nothing/)
  } finally {
    await client.close()
  }
})

test("a killed server is found again and what changed meanwhile is told", { skip }, async () => {
  const client = connect()
  const seen: string[] = []
  client.onChange((changes) => {
    for (const change of changes)
      seen.push(`${change.after ? "+" : "-"}${(change.after ?? change.before)?.name}`)
  })
  try {
    await client.ready()
    await client.transact([{ op: "insert", table: "Logical_Switch", row: { name: "stays" } }])
    await endServer()
    await eventually("the client to notice", () => client.problem !== undefined)
    assert.match(client.problem ?? "", /db\.sock/)
    await assert.rejects(client.transact([]), OvsdbUnavailable)
    assert.equal(client.table("Logical_Switch").size, 1, "the replica stays readable")
    await startServer()
    await client.ready()
    await client.transact([{ op: "insert", table: "Logical_Switch", row: { name: "new" } }])
    assert.deepEqual(seen, ["+stays", "+new"])
    await client.transact([{ op: "delete", table: "Logical_Switch", where: [] }])
  } finally {
    await client.close()
  }
})

test("a client may be closed at any moment of its connecting", { skip }, async () => {
  for (let ticks = 0; ticks < 60; ticks++) {
    const client = connect()
    for (let n = 0; n < ticks; n++) await new Promise((resolve) => setImmediate(resolve))
    const tooLong = new AbortController()
    const late = systemClock.sleep(240_000, tooLong.signal).then(
      () => "it hangs",
      () => "closed",
    )
    assert.equal(await Promise.race([client.close().then(() => "closed"), late]), "closed", `${ticks} ticks`)
    tooLong.abort()
  }
})

test("of two sessions one holds the lock, and the other gets it after it", { skip }, async () => {
  const first = connect()
  const second = connect()
  try {
    await Promise.all([first.ready(), second.ready()])
    const order: string[] = []
    let waiting: Promise<void> | undefined
    await first.withLock("writer", 240_000, async (assertLock) => {
      await first.transact([assertLock])
      await assert.rejects(second.transact([assertLock]), /not owner/)
      waiting = second.withLock("writer", 240_000, async (assertOwn) => {
        await second.transact([assertOwn])
        order.push("second")
      })
      await assert.rejects(
        first.withLock("writer", 50, async () => {}),
        /twice/,
      )
      order.push("first")
    })
    await waiting
    assert.deepEqual(order, ["first", "second"])
    await second.withLock("writer", 240_000, async () => {
      const refused = first.withLock("writer", 50, async () => order.push("never"))
      await assert.rejects(refused, /another session/)
    })
    assert.deepEqual(order, ["first", "second"])
  } finally {
    await Promise.all([first.close(), second.close()])
  }
})
