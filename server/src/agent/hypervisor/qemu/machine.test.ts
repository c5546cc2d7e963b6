// The start of a QEMU and what else looks at the machine meanwhile, with a stand-in that speaks QMP.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { eventually, systemClock } from "../../../platform/clock/clock.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import { silentLogger } from "../../../platform/log/log.ts"
import { startFakeQmpServer } from "../../qmp/fake-qmp-server.ts"
import { QemuMachine } from "./machine.ts"
import { makeRunDirectory, runDirectory } from "./run-directory.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-machine-"))
after(() => rmSync(root, { recursive: true }))

/** A machine whose program is this shell script; what follows in the command line is the script's. */
async function makeMachine(script: string) {
  const serverId = newUuid()
  const directory = runDirectory(root, serverId)
  await makeRunDirectory(directory)
  for (const path of [directory.vncSocket, directory.serialSocket]) writeFileSync(path, "")
  const machine = new QemuMachine(serverId, directory, {
    clock: systemClock,
    log: silentLogger,
    onChange: () => {},
  })
  const launch = (whileStarting: () => Promise<unknown>) =>
    machine.launch(["/bin/sh", "-c", script], [], async () => void (await whileStarting()))
  return { machine, directory, launch }
}

/** QEMU serves one client at a time: a second connection of ours would wait for its greeting for ever. */
async function connectionsOfStart(look: (machine: QemuMachine) => Promise<unknown>): Promise<number> {
  const { machine, directory, launch } = await makeMachine("exec sleep 60")
  await using qemu = await startFakeQmpServer(directory.qmpSocket, () => ({ return: { status: "running" } }))
  try {
    await launch(() => look(machine))
    assert.equal((await machine.refresh()).power, "running")
    await machine.check()
    return qemu.heard.filter((command) => command.execute === "qmp_capabilities").length
  } finally {
    await machine.end("the test is over")
  }
}

test("the tick that comes while a start is written down leaves the start its connection", async () => {
  assert.equal(await connectionsOfStart((machine) => machine.check()), 1)
})

test("a connection that somebody made while a start is written down is the start's as well", async () => {
  assert.equal(await connectionsOfStart((machine) => machine.qmp("look")), 1)
})

test("a start has all its time for the greeting, whenever the tick comes", async () => {
  const { machine, directory, launch } = await makeMachine("exec sleep 60")
  const ticked = Promise.withResolvers<void>()
  const started = launch(async () => ticked.resolve(machine.check()))
  const greets = ticked.promise.then(() => startFakeQmpServer(directory.qmpSocket, () => ({ return: {} })))
  try {
    await started
  } finally {
    await machine.end("the test is over")
    await (await greets)[Symbol.asyncDispose]()
  }
})

test("a new QEMU is not asked over the connection of the killed one", async () => {
  const { machine, directory, launch } = await makeMachine("exec sleep 60")
  // The stand-in's side of a connection stays when the program is killed.
  await using servers = new AsyncDisposableStack()
  try {
    for (let start = 0; start < 2; start++) {
      await machine.refresh()
      const qemu = servers.use(await startFakeQmpServer(directory.qmpSocket, () => ({ return: {} })))
      for (const path of [directory.vncSocket, directory.serialSocket]) writeFileSync(path, "")
      await launch(async () => {})
      assert.equal(qemu.heard.length, 1)
      process.kill(machine.identity?.pid ?? assert.fail("it runs"), "SIGKILL")
      await eventually("its end", () => !machine.isAlive)
    }
  } finally {
    await machine.end("the test is over")
  }
})

test("a QEMU that ends at once says why, whoever looks at it meanwhile", async () => {
  for (const look of ["check", "refresh"] as const) {
    const { machine, launch } = await makeMachine("echo no such thing; exit 1")
    const started = launch(async () => {
      await eventually("its end", () => !machine.isAlive)
      await machine[look]()
    })
    await assert.rejects(started, /could not start machine \S+: no such thing/)
    assert.equal(machine.identity, null)
  }
})
