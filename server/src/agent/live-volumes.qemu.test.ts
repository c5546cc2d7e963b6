// Guests that go to another host while they run take volumes along that both hosts reach: nobody copies them, and at
// every moment one of the two at the most writes to them.
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer, type Socket } from "node:net"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually } from "../platform/clock/clock.ts"
import { newUuid } from "../platform/ids/ids.ts"
import type { DiskSpec } from "./protocol.ts"
import { SharedSides, untilWritten, volumeWriter } from "./testing/shared-sides.ts"

const mib = 1024 ** 2
const sides = new SharedSides()
const { here, there } = sides
const boot: SharedSides["boot"] = (wanted) => sides.boot(wanted)
const { writes, stop, sumOfWritten, sumOfRead } = volumeWriter

before(() => sides.open())
afterEach(async () => {
  for (const { guests } of [here, there]) await guests.destroyAll()
})
after(() => sides.dispose())

test("a volume that a guest writes to goes along with it: not a block is lost, and it is the other host's then", async () => {
  const guest = await boot({ root: null })
  const { serverId } = guest
  const data = { ...(await here.guests.makeVolume()), ioLimits: { total_iops_sec: 400 } }
  const { name: volumeId } = data
  await here.guests.plug(guest, data)
  await here.guests.tell(guest, volumeId, writes)
  const before = Number(await here.guests.tell(guest, volumeId, untilWritten))
  const fence = { generation: 2, fence: 1 }
  const spec = { ...guest.spec, disks: [...guest.spec.disks, data] }
  const { streams, sent, received } = await sides.send(spec, fence)
  assert.deepEqual(streams, ["memory", "root"])
  await Promise.all([sent, received])
  assert.deepEqual([await here.powerOf(serverId), await there.powerOf(serverId)], ["paused", "paused"])
  await there.agent.handle("vm.unpause", { serverId, fence: { generation: 3, fence: 1 } })
  await here.agent.handle("vm.destroy", { serverId, fence: { generation: 3, fence: 0 } })
  await there.guests.tell(guest, volumeId, stop)
  const written = await there.guests.tell(guest, volumeId, sumOfWritten)
  assert.ok(Number(written.split(" ")[0]) > before, "it went on")
  assert.equal(await there.guests.tell(guest, volumeId, sumOfRead), written)
  // It is a volume of this host now.
  const own = { generation: 4, fence: 1 }
  await there.agent.handle("vm.unplug_volume", { serverId, volumeId, fence: own })
  await there.agent.handle("vm.plug_volume", { serverId, disk: data, fence: own })
  assert.equal(await there.guests.tell(guest, volumeId, sumOfRead), written)
})

test("a guest that boots from a volume, and has an encrypted one, goes with nothing but its memory", async () => {
  const root: DiskSpec = { ...(await here.guests.makeVolume()), bootIndex: 0 }
  const secret = await sides.makeEncrypted(48 * mib)
  const guest = await boot({ root, disks: [secret], properties: { hw_machine_type: "q35" } })
  const { serverId, spec } = guest
  const sums: Record<string, string> = {}
  const fill = "dd if=/dev/urandom of=/dev/$d bs=1M count=1 conv=fsync,notrunc 2>/dev/null; "
  const read = "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/$d bs=1M count=1 2>/dev/null | md5sum"
  for (const { name } of [root, secret]) sums[name] = await here.guests.tell(guest, name, fill + read)
  const { streams, sent, received } = await sides.send(spec, { generation: 2, fence: 1 })
  assert.deepEqual(streams, ["memory"])
  await Promise.all([sent, received])
  await there.agent.handle("vm.unpause", { serverId, fence: { generation: 3, fence: 1 } })
  await here.agent.handle("vm.destroy", { serverId, fence: { generation: 3, fence: 0 } })
  for (const { name } of [root, secret]) assert.equal(await there.guests.tell(guest, name, read), sums[name])
  // And back, with what it has written there.
  for (const { name } of [root, secret]) sums[name] = await there.guests.tell(guest, name, fill + read)
  const back = await sides.send(spec, { generation: 4, fence: 1 }, {}, [there, here])
  await Promise.all([back.sent, back.received])
  await here.agent.handle("vm.unpause", { serverId, fence: { generation: 5, fence: 1 } })
  await there.agent.handle("vm.destroy", { serverId, fence: { generation: 5, fence: 0 } })
  for (const { name } of [root, secret]) assert.equal(await here.guests.tell(guest, name, read), sums[name])
  const own = { generation: 6, fence: 1 }
  await here.agent.handle("vm.unplug_volume", { serverId, volumeId: secret.name, fence: own })
  await here.agent.handle("vm.plug_volume", { serverId, disk: secret, fence: own })
  assert.equal(await here.guests.tell(guest, secret.name, read), sums[secret.name])
  // A start opens what it has now.
  await here.agent.handle("vm.reboot", { spec, hard: true, graceMs: 0, fence: own })
  await eventually("it to be up", async () => (await here.guests.log(serverId)).includes("GUEST is up"))
  assert.equal(await here.guests.tell(guest, secret.name, read), sums[secret.name])
})

test("one that was whole on both and stays has its volumes again, and may go later", async () => {
  const data = await here.guests.makeVolume()
  const guest = await boot({ root: null, disks: [data] })
  const { serverId, spec } = guest
  const { name: volumeId } = data
  await here.guests.tell(guest, volumeId, writes)
  await here.guests.tell(guest, volumeId, untilWritten)
  const first = await sides.send(spec, { generation: 2, fence: 1 })
  await Promise.all([first.sent, first.received])
  // Nobody could say that it is there. The other host does not even answer.
  await here.agent.handle("vm.stay", { serverId, power: "running", fence: { generation: 2, fence: 2 } })
  const n = Number(await here.guests.tell(guest, volumeId, "cat /n"))
  await here.guests.tell(guest, volumeId, `until [ $(cat /n) -gt ${n} ]; do sleep 0.1; done`)
  await there.agent.handle("vm.destroy", { serverId, fence: { generation: 2, fence: 2 } })
  const second = await sides.send(spec, { generation: 3, fence: 1 })
  await Promise.all([second.sent, second.received])
  await there.agent.handle("vm.unpause", { serverId, fence: { generation: 4, fence: 1 } })
  await here.agent.handle("vm.destroy", { serverId, fence: { generation: 4, fence: 0 } })
  await there.guests.tell(guest, volumeId, stop)
  const written = await there.guests.tell(guest, volumeId, sumOfWritten)
  assert.ok(Number(written.split(" ")[0]) > n)
  assert.equal(await there.guests.tell(guest, volumeId, sumOfRead), written)
})

test("one that is paused has its volumes where it stays so: they grow, and are copied and taken", async () => {
  const data = await here.guests.makeVolume()
  const guest = await boot({ root: null, disks: [data] })
  const { serverId, spec } = guest
  const { name: volumeId } = data
  await here.agent.handle("vm.pause", { serverId, fence: { generation: 2, fence: 1 } })
  const use = async (side: typeof here, generation: number, sizeBytes: number) => {
    const copyId = newUuid()
    const common = { backend: "nas", fence: { generation, fence: 1 } }
    const source = { kind: "volume" as const, volumeId }
    const before = (await side.agent.handle("volume.inspect", { volumeId, backend: "nas" })).volume
    await side.agent.handle("volume.create", {
      ...{ ...common, volumeId: copyId, sizeBytes: before?.sizeBytes ?? 0, source },
    })
    await side.agent.handle("volume.extend", { ...common, volumeId, sizeBytes })
    assert.equal(await side.powerOf(serverId), "paused")
  }
  const away = await sides.send(spec, { generation: 3, fence: 1 })
  await Promise.all([away.sent, away.received])
  await here.agent.handle("vm.stay", { serverId, power: "paused", fence: { generation: 3, fence: 2 } })
  await there.agent.handle("vm.destroy", { serverId, fence: { generation: 3, fence: 2 } })
  await use(here, 3, 96 * mib)
  spec.disks = spec.disks.map((disk) => (disk.name === volumeId ? { ...disk, sizeBytes: 96 * mib } : disk))
  const again = await sides.send(spec, { generation: 4, fence: 1 })
  await Promise.all([again.sent, again.received])
  await there.agent.handle("vm.pause", { serverId, fence: { generation: 5, fence: 1 } })
  await here.agent.handle("vm.destroy", { serverId, fence: { generation: 5, fence: 0 } })
  await use(there, 5, 128 * mib)
  await there.agent.handle("vm.unpause", { serverId, fence: { generation: 6, fence: 1 } })
  const size = await there.guests.tell(guest, volumeId, "cat /sys/block/$d/size")
  assert.equal(size, String((128 * mib) / 512))
})

test("a target that lets a guest go on by itself is found out, and the two never write both", async () => {
  const data = await here.guests.makeVolume()
  const guest = await boot({ root: null, disks: [data] })
  const { serverId, spec } = guest
  const fence = { generation: 2, fence: 1 }
  const { sent, received } = await sides.send(spec, fence)
  await Promise.all([sent, received])
  await there.subject.hypervisor.setPower({ serverId, driver: "qemu" }, "running", { graceMs: 0 })
  const stay = (power: "running" | "paused", n: number) =>
    here.agent.handle("vm.stay", { serverId, power, fence: { generation: 2, fence: n } })
  const taken = { code: "agent.machine.disks_taken" }
  await assert.rejects(stay("running", 2), taken)
  await assert.rejects(stay("paused", 3), taken)
  assert.equal(await here.powerOf(serverId), "paused")
  await there.agent.handle("vm.destroy", { serverId, fence: { generation: 2, fence: 4 } })
  await stay("running", 4)
  await here.guests.tell(guest, data.name, "echo x | dd of=/dev/$d conv=fsync,notrunc && echo wrote")
})

test("a source that hides a volume does not get its guest across without it", async () => {
  const data = await here.guests.makeVolume()
  const guest = await boot({ root: null, disks: [] })
  const spec = { ...guest.spec, disks: [...guest.spec.disks, data] }
  const { sent, received } = await sides.send(spec, { generation: 2, fence: 1 })
  const [left, came] = await Promise.allSettled([sent, received])
  assert.deepEqual([left.status, came.status], ["rejected", "rejected"])
  assert.match(String(came.status === "rejected" && came.reason), /has no vol-/)
  assert.equal(await here.powerOf(guest.serverId), "running")
  assert.equal(await there.guests.holderOf(data.name), null, "the volume is nobody's there")
})

test("whatever is killed before somebody says where it goes on, the volume is whole and its guest's", async () => {
  const data = await here.guests.makeVolume()
  const guest = await boot({ root: null, disks: [data] })
  const { serverId, spec } = guest
  const { name: volumeId } = data
  await here.guests.tell(guest, volumeId, writes)
  const goesOn = async () => {
    const n = Number(await here.guests.tell(guest, volumeId, untilWritten))
    await here.guests.tell(guest, volumeId, `until [ $(cat /n) -gt ${n} ]; do sleep 0.1; done`)
  }
  let generation = 1
  const begin = async (how = {}) => await sides.send(spec, { generation: ++generation, fence: 1 }, how)
  const stay = () =>
    here.agent.handle("vm.stay", { serverId, power: "running", fence: { generation, fence: 2 } })
  const leave = () => there.agent.handle("vm.destroy", { serverId, fence: { generation, fence: 2 } })
  const kill = async (side: typeof here) =>
    process.kill(await side.subject.hypervisor.processId({ serverId, driver: "qemu" }), "SIGKILL")

  // QEMU of the target, in the middle.
  const slow = await begin({ mostBytesPerSecond: 200_000 })
  const over = Promise.allSettled([slow.sent, slow.received])
  await eventually("memory to be on its way", async () => {
    const { progress } = await here.agent.handle("vm.live_progress", { serverId })
    return (progress?.memory.processedBytes ?? 0) > 100_000
  })
  await kill(there)
  assert.deepEqual(
    (await over).map(({ status }) => status),
    ["rejected", "rejected"],
  )
  await stay()
  await leave()
  await goesOn()

  // QEMU of the target, when it is whole there; then both agents begin anew.
  const second = await begin()
  await Promise.all([second.sent, second.received])
  await kill(there)
  for (const side of [here, there]) {
    await side.release()
    await side.open()
  }
  assert.deepEqual([await here.powerOf(serverId), await there.powerOf(serverId)], ["paused", "shutdown"])
  await stay()
  await leave()
  await goesOn()

  // Both agents, and then the target's host is off: it begins nothing by itself when it is back.
  const third = await begin()
  await Promise.all([third.sent, third.received])
  await here.release()
  await here.open()
  await there.release()
  await there.open()
  assert.deepEqual([await here.powerOf(serverId), await there.powerOf(serverId)], ["paused", "paused"])
  await kill(there)
  await there.release()
  await there.open("boot-2")
  assert.notEqual(await there.powerOf(serverId), "running")
  assert.notEqual(await there.powerOf(serverId), "paused")
  await stay()
  await leave()
  await goesOn()

  // And the source's QEMU, when it is whole there and may go on there.
  const last = await begin()
  await Promise.all([last.sent, last.received])
  await kill(here)
  await there.agent.handle("vm.unpause", { serverId, fence: { generation: generation + 1, fence: 1 } })
  await here.agent.handle("vm.destroy", { serverId, fence: { generation: generation + 1, fence: 0 } })
  await there.guests.tell(guest, volumeId, stop)
  const written = await there.guests.tell(guest, volumeId, sumOfWritten)
  assert.equal(await there.guests.tell(guest, volumeId, sumOfRead), written)
})

/** The ends of streams that two processes open, by the ids that they say; counts what goes through. */
async function joinProcesses(socketPath: string): Promise<{ bytes: () => number; close: () => void }> {
  const waiting = new Map<string, Socket>()
  let bytes = 0
  const server = createServer((socket) => {
    socket.on("error", () => {})
    socket.once("readable", () => {
      const [id = ""] = String(socket.read(37)).split("\n")
      const other = waiting.get(id)
      if (!other) return void waiting.set(id, socket)
      for (const [from, to] of [
        [socket, other],
        [other, socket],
      ] as const) {
        from.on("data", (data: Buffer) => {
          bytes += data.length
        })
        from.pipe(to)
        from.once("close", () => to.destroy())
      }
    })
  }).listen(socketPath)
  await once(server, "listening")
  return { bytes: () => bytes, close: () => server.close() }
}

const program = join(import.meta.dirname, "testing", "live-side-process.ts")

function startProcess(host: string, socketPath: string, name: string, args: object): ChildProcess {
  const command = JSON.stringify({ name, args })
  return spawn(process.execPath, [program, sides.root, host, socketPath, command], {
    stdio: ["ignore", "ignore", "ignore"],
  })
}
const isDead = (child: ChildProcess) =>
  eventually("the process to be dead", () => child.exitCode !== null || child.signalCode !== null)

test("an agent that is killed in the middle, of either side, leaves the guest and its volume where they were", async () => {
  const data = await here.guests.makeVolume()
  const guest = await boot({ root: null, disks: [data] })
  const { serverId, spec } = guest
  const { name: volumeId } = data
  await here.guests.tell(guest, volumeId, writes)
  await here.guests.tell(guest, volumeId, untilWritten)
  const socketPath = join(sides.root, "streams.sock")
  const joined = await joinProcesses(socketPath)
  let generation = 1
  for (const killed of ["host1", "host2"]) {
    const { streams, ...layout } = await here.agent.handle("vm.layout", { serverId })
    for (const side of [here, there]) await side.release()
    const streamIds = Object.fromEntries(streams.map((name) => [name, newUuid()]))
    const fence = { generation: ++generation, fence: 1 }
    const how = { downtimeMs: 300, timeoutMs: 120_000, mostBytesPerSecond: 500_000 }
    const before = joined.bytes()
    const processes: Record<string, ChildProcess> = {
      host1: startProcess("host1", socketPath, "vm.send_live", { serverId, streamIds, fence, ...how }),
      host2: startProcess("host2", socketPath, "vm.receive_live", { spec, layout, streamIds, fence }),
    }
    // The disk has next to nothing that its image has not.
    await eventually("memory to be on its way", () => joined.bytes() - before > 3 * mib)
    processes[killed]?.kill("SIGKILL")
    for (const child of Object.values(processes)) await isDead(child)
    for (const side of [here, there]) await side.open()
    await here.agent.handle("vm.stay", { serverId, power: "running", fence: { generation, fence: 2 } })
    await there.agent.handle("vm.destroy", { serverId, fence: { generation, fence: 2 } })
    const n = Number(await here.guests.tell(guest, volumeId, untilWritten))
    await here.guests.tell(guest, volumeId, `until [ $(cat /n) -gt ${n} ]; do sleep 0.1; done`)
  }
  joined.close()
  await here.guests.tell(guest, volumeId, stop)
  const written = await here.guests.tell(guest, volumeId, sumOfWritten)
  assert.equal(await here.guests.tell(guest, volumeId, sumOfRead), written)
})
