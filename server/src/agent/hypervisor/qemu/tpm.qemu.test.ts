// A guest's TPM as the guest has it: it keeps its keys from one start to the next, nobody reads them without the
// cloud's, and its process is nobody's who could do more.
import assert from "node:assert/strict"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { endProcess, isProcessAlive } from "../../../platform/exec/process.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import type { GuestHardware } from "../../protocol.ts"
import { noVolumeKeys } from "../../testing/qemu-agent.ts"
import { makeTinyDriver, type TinyDriver, testRunAs } from "../../testing/tiny-driver.ts"
import { typeOnSerial } from "../../testing/tiny-guest.ts"
import type { VmHandle } from "../hypervisor.ts"
import type { QemuHypervisor } from "./qemu.ts"
import { runDirectory } from "./run-directory.ts"
import { findTpm } from "./tpm.ts"

let tiny: TinyDriver
const made: [QemuHypervisor, VmHandle][] = []

before(async () => {
  tiny = await makeTinyDriver({ isReachable: true })
})
afterEach(async () => {
  for (const [owner, handle] of made.splice(0)) {
    await owner.destroy(handle)
    await owner[Symbol.asyncDispose]()
  }
})
after(() => tiny.dispose())

const keys = (byte: number) => ({
  ...noVolumeKeys,
  ofTpm: async () => Buffer.alloc(32, byte).toString("base64"),
})

function machine(tpm: NonNullable<GuestHardware["tpm"]>, serverId = newUuid(), owner = tiny.open()) {
  const handle = { serverId, driver: "qemu" }
  made.push([owner, handle])
  // The tiny guest has no ACPI, whose tables name the device to others: it is told to look.
  const { kernelCommandLine } = tiny.input(serverId).spec
  const look = `${kernelCommandLine} tpm_tis.force=1 tpm_tis.interrupts=0`
  const input = tiny.input(serverId, { hardware: { tpm }, kernelCommandLine: look })
  const directory = runDirectory(tiny.vmsDir, serverId)
  const turn = (power: "running" | "shutdown", byte = 1) =>
    owner.ensure({ ...input, power }, null, keys(byte))
  return { owner, handle, directory, turn }
}
type Machine = ReturnType<typeof machine>

async function ask({ owner, handle, directory }: Machine, line: string, boots = 1): Promise<string> {
  const said = async (pattern: RegExp) => pattern.exec(await owner.consoleLog(handle, null))?.[1]
  await eventually("the guest to be up", () => said(new RegExp(`(?:[^]*GUEST is (up)){${boots}}`)))
  const mark = newUuid().slice(0, 8)
  await typeOnSerial(directory.serialSocket, `echo "GUEST sa""ys" ${mark} $(${line}) "e""nd"`)
  return await eventually("an answer", () => said(new RegExp(`GUEST says ${mark} ([^\\n]*) end`)))
}

/** TPM2_ReadPublic of the endorsement key: of no two TPMs is it the same. */
const readKey =
  "exec 3<>/dev/tpm0; printf '\\200\\001\\000\\000\\000\\016\\000\\000\\001\\163\\201\\001\\000\\001' >&3; " +
  "dd bs=4096 count=1 <&3 2>/dev/null | sha256sum | cut -c1-64"
const devices =
  "mount -t devtmpfs devtmpfs /dev 2>/dev/null; cat /sys/class/tpm/tpm0/tpm_version_major || echo none"

let firstKey = ""

test("a guest has its TPM with the same keys at each start; its process is its own and ends with it", async () => {
  const guest = machine({ version: "2.0", model: "tpm-tis" })
  const { owner, handle, directory, turn } = guest
  await turn("running")
  assert.equal(await ask(guest, devices), "2")
  const key = await ask(guest, readKey)
  assert.match(key, /^[0-9a-f]{64}$/)
  firstKey = key
  const first = findTpm(directory)
  assert.ok(first)
  const status = readFileSync(`/proc/${first.pid}/status`, "utf8")
  if (testRunAs) {
    assert.match(status, new RegExp(`^Uid:\\s+${testRunAs.uid}\\s+${testRunAs.uid}`, "m"))
    assert.match(status, /^CapBnd:\s+0+$/m)
  }
  assert.match(status, /^NoNewPrivs:\s+1$/m)
  assert.deepEqual(
    [statSync(directory.tpm).mode & 0o777, existsSync(join(directory.keys, "tpm"))],
    [0o700, false],
  )
  const line = readFileSync(`/proc/${first.pid}/cmdline`, "utf8")
  assert.ok(!line.includes("01010101"), "the key is in nobody's list of processes")

  // Suspended it is the same one when it goes on; and so is the one of a guest that was switched off.
  await owner.suspend(handle)
  assert.ok(!isProcessAlive(first))
  await turn("running")
  assert.equal(await ask(guest, readKey), key)
  await owner.setPower(handle, "shutdown", { graceMs: 0 })
  assert.equal(findTpm(directory), null)
  await turn("running")
  assert.equal(await ask(guest, devices, 2), "2")
  assert.equal(await ask(guest, readKey, 2), key)

  // However QEMU ends, its TPM does.
  const second = findTpm(directory)
  const pid = await owner.processId(handle)
  process.kill(pid, "SIGKILL")
  await eventually("the TPM to end", () => second !== null && !isProcessAlive(second))
})

test("what it holds opens with its key alone, goes to another host as it is, and another has other keys", async () => {
  const guest = machine({ version: "2.0", model: "tpm-tis" })
  await guest.turn("running")
  assert.equal(await ask(guest, devices), "2")
  const key = await ask(guest, readKey)
  assert.notEqual(key, firstKey, "no two have the same")
  await guest.owner.setPower(guest.handle, "shutdown", { graceMs: 0 })
  await assert.rejects(guest.turn("running", 2), /could not start machine .*/)
  assert.equal(findTpm(guest.directory), null)

  const moved = machine({ version: "2.0", model: "tpm-tis" })
  await moved.turn("shutdown")
  const path = join(tiny.directory, "tpm-on-its-way")
  await guest.owner.sendTpm(guest.handle, path)
  await moved.owner.receiveTpm(moved.handle, path)
  await moved.turn("running")
  assert.equal(await ask(moved, devices), "2")
  assert.equal(await ask(moved, readKey), key)
})

test("one of the old version; and who has no key to give starts none", async () => {
  const guest = machine({ version: "1.2", model: "tpm-tis" })
  await guest.turn("running")
  assert.equal(await ask(guest, devices), "1")
  await guest.owner.destroy(guest.handle)
  assert.ok(!existsSync(guest.directory.root))

  const keyless = machine({ version: "2.0", model: "tpm-tis" })
  await assert.rejects(
    keyless.owner.ensure(
      {
        ...tiny.input(keyless.handle.serverId, { hardware: { tpm: { version: "2.0", model: "tpm-tis" } } }),
        power: "running",
      },
      null,
    ),
    { code: "agent.machine.tpm_key_missing" },
  )
})

test("a TPM that waits for a QEMU which never came is ended by the next agent", async () => {
  const guest = machine({ version: "2.0", model: "tpm-tis" })
  await guest.turn("running")
  const left = findTpm(guest.directory)
  assert.ok(left)
  // As it is when the agent is killed between the two: the TPM lives, its guest does not, and nobody has said so.
  process.kill(left.pid, "SIGSTOP")
  const pid = await guest.owner.processId(guest.handle)
  await guest.owner[Symbol.asyncDispose]()
  process.kill(pid, "SIGKILL")
  const next = machine({ version: "2.0", model: "tpm-tis" }, guest.handle.serverId)
  await next.turn("running")
  assert.ok(!isProcessAlive(left))
  const now = findTpm(next.directory)
  assert.ok(now && isProcessAlive(now))
  assert.deepEqual(readdirSync(next.directory.jobs), [])
  await endProcess(now, { graceMs: 0 })
})
