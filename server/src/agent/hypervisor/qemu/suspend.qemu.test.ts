// A guest's memory goes to a file and comes back, whatever happens in between.
import assert from "node:assert/strict"
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { Fault } from "../../../platform/fault/fault.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import type { VmSpec } from "../../protocol.ts"
import { QmpConnection, queryMigration, startMigration, stopGuest } from "../../qmp/index.ts"
import { makeTinyDriver, type TinyDriver } from "../../testing/tiny-driver.ts"
import { typeOnSerial } from "../../testing/tiny-guest.ts"
import type { PluggedVif, VmHandle } from "../hypervisor.ts"
import type { QemuHypervisor } from "./qemu.ts"
import { runDirectory } from "./run-directory.ts"

let tiny: TinyDriver
let driver: QemuHypervisor
const made: VmHandle[] = []

before(async () => {
  tiny = await makeTinyDriver()
  driver = tiny.open()
})
afterEach(async () => {
  for (const handle of made.splice(0)) await driver.destroy(handle)
})
after(async () => {
  await driver[Symbol.asyncDispose]()
  tiny.dispose()
})

const vif = (n: number): PluggedVif => ({
  portId: newUuid(),
  macAddress: `fa:16:3e:00:00:0${n}`,
  mtu: 1400,
  device: null,
})

/** A guest that is up. */
async function start(change: Partial<VmSpec> = {}, vifs: PluggedVif[] = []) {
  const serverId = newUuid()
  const input = { ...tiny.input(serverId, change), vifs, power: "running" as const }
  const handle = { serverId, driver: "qemu" }
  made.push(handle)
  await driver.ensure(input, null)
  await said(handle, "GUEST is up")
  return { input, handle, directory: runDirectory(tiny.vmsDir, serverId) }
}

const said = (handle: VmHandle, words: string) =>
  eventually(words, async () => (await driver.consoleLog(handle, null)).includes(words))

/** The guest takes a command and does it. */
async function obeys(handle: VmHandle, word: string): Promise<void> {
  const { serialSocket } = runDirectory(tiny.vmsDir, handle.serverId)
  await typeOnSerial(serialSocket, `echo $((40+2))-${word}`)
  await said(handle, `42-${word}`)
}

/** The guest has the interface. */
async function sees(handle: VmHandle, macAddress: string): Promise<void> {
  const { serialSocket } = runDirectory(tiny.vmsDir, handle.serverId)
  const look = `until grep -l ${macAddress} /sys/class/net/*/address; do sleep 1; done; echo seen-$((${macAddress.slice(-1)}))`
  await typeOnSerial(serialSocket, look)
  await said(handle, `seen-${macAddress.slice(-1)}`)
}

async function nextDriver(): Promise<void> {
  await driver[Symbol.asyncDispose]()
  driver = tiny.open()
}

for (const machine of ["pc", "q35"]) {
  test(`interfaces that came and went are where the guest knows them (${machine})`, async () => {
    const [first, second, third, fourth] = [vif(1), vif(2), vif(3), vif(4)]
    const { input, handle } = await start({ properties: { hw_machine_type: machine } }, [first, second])
    for (const one of [third, fourth]) {
      await driver.plugVif(handle, one)
      await sees(handle, one.macAddress)
    }
    await driver.unplugVif(handle, third.portId)
    await driver.suspend(handle)
    await driver.ensure({ ...input, vifs: [first, second, fourth] }, handle)
    await obeys(handle, "here")
    // Once more, from a machine that was taken up itself, and with one that is new to it.
    await driver.suspend(handle)
    const fifth = vif(5)
    await driver.ensure({ ...input, vifs: [first, second, fourth, fifth] }, handle)
    await obeys(handle, "again")
    const { nics } = await driver.diagnostics(handle)
    assert.deepEqual(
      nics.map((nic) => nic.macAddress).sort(),
      [first, second, fourth, fifth].map((v) => v.macAddress),
    )
    await sees(handle, fifth.macAddress)
  })
}

test("the memory is for us only, and nothing of its way is left", async () => {
  const { input, handle, directory } = await start()
  await driver.suspend(handle)
  assert.equal(statSync(directory.memory).mode & 0o777, 0o600)
  assert.equal(existsSync(dirname(directory.transferSocket)), false)
  assert.equal(await driver.processId(handle), -1)
  await driver.ensure(input, handle)
  assert.equal(existsSync(directory.memory), false)
  assert.equal(existsSync(directory.savedLine), false)
})

test("a full disk is told, and the guest goes on", async () => {
  const { handle, directory } = await start()
  symlinkSync("/dev/full", `${directory.memory}.part`)
  await assert.rejects(
    driver.suspend(handle),
    (error) =>
      error instanceof Fault && error.code === "agent.machine.suspend_failed" && /ENOSPC/.test(error.message),
  )
  assert.equal((await driver.inspect(handle)).power, "running")
  await obeys(handle, "on")
  assert.equal(existsSync(directory.memory), false)
  assert.equal((await driver.suspend(handle)).power, "suspended")
})

test("an agent that dies while it saves leaves a guest that goes on", async () => {
  const { handle, directory } = await start()
  await driver[Symbol.asyncDispose]()
  // As the agent does it, up to the middle: nobody reads what QEMU sends.
  const sockets = mkdtempSync(join(tmpdir(), "kumoi-stuck-"))
  const path = join(sockets, "memory.sock")
  const server = createServer((socket) => socket.pause().on("error", () => {}))
  await new Promise<void>((done) => server.listen(path, done))
  for (const each of [sockets, path]) chmodSync(each, 0o777)
  const qmp = await QmpConnection.connect(directory.qmpSocket)
  try {
    await stopGuest(qmp)
    await startMigration(qmp, `unix:${path}`)
    await eventually("QEMU to send", async () => (await queryMigration(qmp)).status === "active")
  } finally {
    await qmp.close()
    driver = tiny.open()
  }
  assert.equal((await driver.recover(handle)).power, "running")
  server.close()
  rmSync(sockets, { recursive: true })
  await obeys(handle, "alive")
  assert.equal((await driver.suspend(handle)).power, "suspended")
})

test("a process beside the whole memory has not run since: it is ended, and nothing is lost", async () => {
  const { input, handle, directory } = await start()
  await driver.suspend(handle)
  const files = [directory.memory, directory.savedLine]
  for (const file of files) copyFileSync(file, `${file}.kept`)
  await driver.ensure({ ...input, power: "paused" }, handle)
  const pid = await driver.processId(handle)
  for (const file of files) copyFileSync(`${file}.kept`, file)
  await nextDriver()
  assert.equal((await driver.recover(handle)).power, "suspended")
  // Ended, and taken off the process table by whoever started it.
  await eventually("the process to be gone", () => !existsSync(`/proc/${pid}`))
  await driver.ensure(input, handle)
  await obeys(handle, "whole")
})

test("memory that cannot be read stays, and the machine is suspended still", async () => {
  const { input, handle, directory } = await start()
  await driver.suspend(handle)
  copyFileSync(directory.memory, `${directory.memory}.kept`)
  copyFileSync("/etc/hostname", directory.memory)
  await assert.rejects(
    driver.ensure(input, handle),
    (error) => error instanceof Fault && error.code === "agent.machine.start_failed",
  )
  assert.equal((await driver.inspect(handle)).power, "suspended")
  copyFileSync(`${directory.memory}.kept`, directory.memory)
  await driver.ensure(input, handle)
  await obeys(handle, "back")
})
