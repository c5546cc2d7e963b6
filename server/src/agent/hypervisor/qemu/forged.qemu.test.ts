// A QEMU that was broken out of writes what it likes into its disks and into its own memory. Nothing that root does
// with the machine afterwards obeys it.
import assert from "node:assert/strict"
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import { agentDiskRefused } from "../../faults.ts"
import { forge, forgeries } from "../../testing/forged-image.ts"
import { makeTinyDriver, type TinyDriver } from "../../testing/tiny-driver.ts"
import type { VmHandle } from "../hypervisor.ts"
import type { QemuHypervisor } from "./qemu.ts"
import { runDirectory } from "./run-directory.ts"

const mib = 1024 * 1024
const words = "for root alone ".repeat(70_000).slice(0, mib)
let tiny: TinyDriver
let driver: QemuHypervisor
let secret: string
const made: VmHandle[] = []

before(async () => {
  // QEMU cannot reach the target of a copy here, so the disk of a living machine is read from outside.
  tiny = await makeTinyDriver()
  driver = tiny.open()
  secret = join(tiny.directory, "secret")
  writeFileSync(secret, words, { mode: 0o600 })
})
afterEach(async () => {
  for (const handle of made.splice(0)) await driver.destroy(handle)
  assert.equal(readFileSync(secret, "utf8"), words)
})
after(async () => {
  await driver[Symbol.asyncDispose]()
  tiny.dispose()
})

async function start() {
  const serverId = newUuid()
  const handle = { serverId, driver: "qemu" }
  made.push(handle)
  const input = { ...tiny.input(serverId), power: "running" as const }
  await driver.ensure(input, null)
  const directory = runDirectory(tiny.vmsDir, serverId)
  return { input, handle, directory, root: join(directory.disks, "root.qcow2") }
}

for (const kind of forgeries) {
  test(`a disk with a forged header (${kind}) is not started, not grown, and no snapshot is made of it`, async () => {
    const { input, handle, root } = await start()
    const path = join(tiny.directory, `${handle.serverId}.qcow2`)
    // The machine has the file open, and its name leads to the forged one: what is read from outside is that.
    await forge(kind, root, secret)
    await assert.rejects(driver.snapshot(handle, "root", path), agentDiskRefused.is)
    assert.equal((await driver.inspect(handle)).power, "running")
    await driver.setPower(handle, "shutdown", { graceMs: 0 })
    await assert.rejects(driver.snapshot(handle, "root", path), agentDiskRefused.is)
    assert.equal(existsSync(path), false)
    await assert.rejects(driver.setPower(handle, "running", { graceMs: 0 }), agentDiskRefused.is)
    const disks = input.spec.disks.map((disk) => ({ ...disk, sizeBytes: 2048 * mib }))
    const grown = { ...input, spec: { ...input.spec, disks }, power: "shutdown" as const }
    await assert.rejects(driver.ensure(grown, handle), agentDiskRefused.is)
    assert.equal((await driver.inspect(handle)).power, "shutdown")
  })
}

test("what a process says that it was started with is not what its guest is taken up with", {
  skip: process.getuid?.() !== 0,
}, async () => {
  const { input, handle } = await start()
  const booted = async () => /GUEST is up/.test(await driver.consoleLog(handle, null))
  await eventually("the guest to be up", booted)
  const pid = await driver.processId(handle)
  forgeArguments(pid, `-chardev\0file,id=x,path=${secret},append=off\0`)
  assert.ok(readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(secret))
  await driver.suspend(handle)
  await driver.ensure(input, handle)
  const line = readFileSync(`/proc/${await driver.processId(handle)}/cmdline`, "utf8")
  assert.ok(line.includes("-sandbox") && !line.includes(secret))
})

/** As the process could itself: they lie in its own memory. */
function forgeArguments(pid: number, text: string): void {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  // The 48th field; the second is a name in brackets that may hold blanks.
  const begin = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[45]
  const name = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? ""
  const memory = openSync(`/proc/${pid}/mem`, "r+")
  writeSync(memory, Buffer.from(text), 0, text.length, Number(begin) + name.length + 1)
  closeSync(memory)
}
