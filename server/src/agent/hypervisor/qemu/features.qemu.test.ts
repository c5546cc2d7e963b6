// What only QEMU has: disks and their snapshots, taps, sockets, privileges.
import assert from "node:assert/strict"
import { once } from "node:events"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { after, afterEach, before, describe, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { exec } from "../../../platform/exec/exec.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import { agentDiskTooSmall, agentStartFailed } from "../../faults.ts"
import type { DiskSpec, VmSpec } from "../../protocol.ts"
import { QmpConnection, stopGuest } from "../../qmp/index.ts"
import { makeTinyDriver, type TinyDriver, testRunAs } from "../../testing/tiny-driver.ts"
import { typeOnSerial } from "../../testing/tiny-guest.ts"
import type { VmHandle } from "../hypervisor.ts"
import type { QemuHypervisor, QemuOptions } from "./qemu.ts"
import { runDirectory } from "./run-directory.ts"

const mib = 1024 * 1024
let tiny: TinyDriver
let reachable: TinyDriver
let driver: QemuHypervisor
const made: [QemuHypervisor, VmHandle][] = []
const netns = `kumoi-test-${process.pid}`

before(async () => {
  tiny = await makeTinyDriver()
  reachable = await makeTinyDriver({ isReachable: true })
  driver = tiny.open()
})
afterEach(async () => {
  for (const [owner, handle] of made.splice(0)) {
    await owner.destroy(handle)
    if (owner !== driver) await owner[Symbol.asyncDispose]()
  }
})
after(async () => {
  await driver[Symbol.asyncDispose]()
  tiny.dispose()
  reachable.dispose()
})

async function start(
  change: Partial<VmSpec> = {},
  owner = driver,
  from = tiny,
  vifs = [] as { device: string | null }[],
) {
  const serverId = newUuid()
  const plugged = vifs.map(({ device }, index) => ({
    portId: `${index}${serverId.slice(1)}`,
    macAddress: `fa:16:3e:00:00:0${index}`,
    mtu: 1400,
    device,
  }))
  const input = { ...from.input(serverId, change), vifs: plugged, power: "running" as const }
  const handle = { serverId, driver: "qemu" }
  made.push([owner, handle])
  await owner.ensure(input, null)
  return { input, handle, directory: runDirectory(from.vmsDir, serverId) }
}

async function untilSaid(handle: VmHandle, pattern: RegExp, owner = driver): Promise<string> {
  const said = async () => {
    const text = await owner.consoleLog(handle, null)
    return pattern.test(text) && text
  }
  return await eventually(`the guest to say ${pattern}`, said)
}

describe("snapshots hold what the guest wrote, and need no other file", () => {
  const check = async (from: TinyDriver, pauses: string[]) => {
    const owner = from.open()
    const { handle, directory } = await start({}, owner, from)
    await untilSaid(handle, /GUEST is up/, owner)
    await typeOnSerial(directory.serialSocket, "echo writ''ten > /dev/vda; sync; echo GUEST is done''!")
    await untilSaid(handle, /GUEST is done!/, owner)
    const path = join(from.directory, `${handle.serverId}.qcow2`)
    const stop = new AbortController()
    const events = owner.events(stop.signal)
    await owner.snapshot(handle, "root", path)
    assert.equal((await owner.inspect(handle)).power, "running")
    stop.abort()
    const seen: string[] = []
    for await (const event of events) seen.push(event.state.power)
    assert.deepEqual(seen, pauses)
    const info: Record<string, unknown> = JSON.parse(
      (await exec("qemu-img", ["info", "--output=json", "-f", "qcow2", path])).stdout,
    )
    assert.equal(info["backing-filename"], undefined)
    assert.equal(info["virtual-size"], 1024 * mib)
    const rawPath = `${path}.raw`
    await exec("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", path, rawPath])
    const head = (await exec("head", ["-c", "20", rawPath])).stdout
    assert.ok(head.startsWith("written\n"), head)
    assert.equal(head.slice(10), "kumoikumoi")
    assert.ok(statSync(path).size < 8 * mib, "holes stay holes")
    assert.equal(statSync(path).uid, process.getuid?.())
    assert.equal(statSync(path).mode & 0o777, 0o600)
    // Again, over what the first one left.
    await owner.snapshot(handle, "root", path)
  }
  test("copied by QEMU while the guest runs", async () => await check(reachable, []))
  test("read from outside while the guest is paused, where QEMU cannot reach the target", async () => {
    await check(tiny, ["paused", "running"])
  })
})

test("QEMU gives up root, filters its system calls, and nobody else can use its sockets", async (t) => {
  if (!testRunAs) return t.skip("not root")
  const { handle, directory } = await start()
  const status = readFileSync(`/proc/${await driver.processId(handle)}/status`, "utf8")
  assert.match(status, /^Uid:\s+64055\s+64055\s+64055\s+64055$/m)
  assert.match(status, /^Groups:\s*(64055\s*)?$/m)
  assert.match(status, /^Seccomp:\s+2$/m)
  for (const path of [
    directory.qmpSocket,
    directory.vncSocket,
    directory.serialSocket,
    directory.serialLog,
  ]) {
    assert.equal(statSync(path).mode & 0o777, 0o600, path)
  }
})

test("a guest that a dead agent held for a snapshot goes on; one that was paused on purpose does not", async () => {
  const { handle, directory } = await start()
  await untilSaid(handle, /GUEST is up/)
  const held = async () => {
    await using next = tiny.open()
    return (await next.recover(handle)).power
  }
  await driver[Symbol.asyncDispose]()
  {
    await using qmp = await QmpConnection.connect(directory.qmpSocket)
    await stopGuest(qmp)
  }
  assert.equal(await held(), "running")
  {
    await using next = tiny.open()
    await next.setPower(handle, "paused", { graceMs: 0 })
  }
  assert.equal(await held(), "paused")
  driver = tiny.open()
})

test("the screen is served over VNC, and the serial line takes and gives", async () => {
  const { handle } = await start()
  await untilSaid(handle, /GUEST is up/)
  const screen = await driver.openConsole(handle, "vnc")
  assert.match(String((await once(screen, "data"))[0]), /^RFB 003\.008/)
  screen.destroy()
  const line = await driver.openConsole(handle, "serial")
  line.write("echo GUEST hears''\n")
  await untilSaid(handle, /GUEST hears/)
  line.resume()
  await driver.setPower(handle, "shutdown", { graceMs: 0 })
  await eventually("the line to end", () => line.destroyed)
  await assert.rejects(driver.openConsole(handle, "vnc"), { code: "agent.machine.wrong_state" })
})

test("a disk grows when the spec does, keeps its data, and is made anew for another image", async () => {
  const { input, handle, directory } = await start()
  await untilSaid(handle, /GUEST is up/)
  await typeOnSerial(directory.serialSocket, "echo writ''ten > /dev/vda; sync; echo GUEST is done''!")
  await untilSaid(handle, /GUEST is done!/)
  await driver.setPower(handle, "shutdown", { graceMs: 0 })
  const [root] = input.spec.disks
  assert.ok(root)
  const withRoot = (disk: DiskSpec) => ({ ...input, spec: { ...input.spec, disks: [disk] } })
  await driver.ensure(withRoot({ ...root, sizeBytes: 2048 * mib }), handle)
  await untilSaid(handle, /GUEST disk vda 4194304 start=writt/)
  await driver.setPower(handle, "shutdown", { graceMs: 0 })
  const other = { kind: "image", imageId: "other", checksum: "1".repeat(32), diskFormat: "raw" } as const
  await driver.ensure(withRoot({ ...root, source: other }), handle)
  await untilSaid(handle, /GUEST disk vda 2097152 start=kumoi/)
})

test("a root disk smaller than its image, and a start that QEMU refuses, are told as such", async () => {
  const [root] = tiny.input(newUuid()).spec.disks
  assert.ok(root)
  await assert.rejects(start({ disks: [{ ...root, sizeBytes: 512 * 1024 }] }), agentDiskTooSmall.is)
  await assert.rejects(start({ ramMib: 64 * mib }), agentStartFailed.is)
})

test("q35 boots too, with sockets in a short directory when the path is long", async () => {
  const deep = await makeTinyDriver({ vmsDirName: "d".repeat(90) })
  const owner = deep.open()
  const { handle, directory } = await start({ properties: { hw_machine_type: "q35" } }, owner, deep)
  assert.notEqual(directory.sockets, directory.root)
  await untilSaid(handle, /GUEST is up/, owner)
  const vif = { portId: newUuid(), macAddress: "fa:16:3e:00:00:77", mtu: 1400, device: null }
  await owner.plugVif(handle, vif)
  await typeOnSerial(directory.serialSocket, "sleep 1; cat /sys/class/net/*/address; echo GUEST saw''")
  await untilSaid(handle, /fa:16:3e:00:00:77[\s\S]*GUEST saw/, owner)
  await owner.unplugVif(handle, vif.portId)
  assert.equal(existsSync(directory.sockets), true)
  await owner.setPower(handle, "shutdown", { graceMs: 0 })
  assert.equal(existsSync(directory.sockets), false)
  assert.equal((await owner.setPower(handle, "running", { graceMs: 0 })).power, "running")
  await owner.destroy(handle)
  deep.dispose()
})

test("taps: at the start and while it runs, in the namespace of the cloud, after root was given up", async (t) => {
  if (!testRunAs) return t.skip("not root")
  await exec("ip", ["netns", "add", netns])
  try {
    for (const tap of ["tapcold", "taphot"]) {
      await exec("ip", [
        "-n",
        netns,
        "tuntap",
        "add",
        "dev",
        tap,
        "mode",
        "tap",
        "user",
        String(testRunAs.uid),
      ])
      await exec("ip", ["-n", netns, "link", "set", "dev", tap, "up"])
    }
    const prefix: QemuOptions["commandPrefix"] = () => ["ip", "netns", "exec", netns]
    const owner = tiny.open({ commandPrefix: prefix })
    const { handle, directory } = await start({}, owner, tiny, [{ device: "tapcold" }])
    await untilSaid(handle, /GUEST is up/, owner)
    const carrier = async (tap: string) =>
      (await exec("ip", ["-n", netns, "-o", "link", "show", "dev", tap])).stdout
    assert.match(await carrier("tapcold"), /LOWER_UP/)
    assert.doesNotMatch(await carrier("taphot"), /LOWER_UP/)
    const vif = { portId: newUuid(), macAddress: "fa:16:3e:00:00:88", mtu: 1400, device: "taphot" }
    await owner.plugVif(handle, vif)
    assert.match(await carrier("taphot"), /LOWER_UP/)
    await typeOnSerial(directory.serialSocket, "ip link set eth0 up; ip a add 198.51.100.2/24 dev eth0")
    await typeOnSerial(directory.serialSocket, "arping -c 2 -I eth0 198.51.100.1; echo GUEST as''ked")
    await untilSaid(handle, /GUEST asked/, owner)
    const { nics } = await owner.diagnostics(handle)
    assert.ok((nics[0]?.txPackets ?? 0) >= 2, JSON.stringify(nics))
    await owner.unplugVif(handle, vif.portId)
    assert.doesNotMatch(await carrier("taphot"), /LOWER_UP/)
    await owner.destroy(handle)
  } finally {
    await exec("ip", ["netns", "delete", netns])
  }
})

test("a channel for the guest's agent, a disk on USB, and an image as a CD", async () => {
  const stick = {
    name: "stick",
    source: { kind: "blank" as const, fsLabel: null },
    bus: "usb",
    bootIndex: null,
  }
  const { spec } = tiny.input(newUuid())
  const cd = spec.disks.map((disk) => ({ ...disk, bus: "ide", isCdrom: true }))
  const { handle, directory } = await start({
    disks: [...cd, { ...stick, sizeBytes: mib }],
    properties: { hw_qemu_guest_agent: "yes", hw_pointer_model: "usbtablet" },
  })
  await untilSaid(handle, /GUEST is up/)
  assert.equal(statSync(directory.agentSocket).mode & 0o777, 0o600)
  // There is no agent behind it.
  await assert.rejects(driver.setPassword(handle, "root", "secret"), {
    code: "agent.machine.guest_agent_silent",
  })
  const { disks } = await driver.diagnostics(handle)
  assert.deepEqual(
    disks.map(({ name }) => name),
    ["root", "stick"],
  )
  await driver.setPower(handle, "shutdown", { graceMs: 0 })
  assert.ok(!existsSync(directory.agentSocket))
})

test("a chatty guest does not fill the disk", async () => {
  const { handle, directory } = await start()
  await untilSaid(handle, /GUEST is up/)
  const chatter = "yes 0123456789012345678901234567890123456789 | head -n 30000"
  await typeOnSerial(directory.serialSocket, `${chatter}; echo GUEST said'' enough`)
  await eventually("the log to be cut", () => fileSize(directory.serialLogOld) > 0)
  await untilSaid(handle, /GUEST said enough/)
  assert.ok(fileSize(directory.serialLog) + fileSize(directory.serialLogOld) < 4 * mib)
})

function fileSize(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}
