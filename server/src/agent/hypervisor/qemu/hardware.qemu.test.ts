// What flavors ask for beyond processors and memory, as real guests see it, and as their host holds them to it.
import assert from "node:assert/strict"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { endProcess, identifyProcess } from "../../../platform/exec/process.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import { agentStartFailed } from "../../faults.ts"
import type { GuestHardware, VmSpec } from "../../protocol.ts"
import { QmpConnection } from "../../qmp/index.ts"
import { howOf, never, pairs } from "../../testing/live-sides.ts"
import { makeTinyDriver, type TinyDriver } from "../../testing/tiny-driver.ts"
import { typeOnSerial } from "../../testing/tiny-guest.ts"
import type { VmHandle } from "../hypervisor.ts"
import { findCpuGroups, hierarchiesOf } from "./cpu-groups.ts"
import { readHostPages } from "./host-pages.ts"
import type { QemuHypervisor } from "./qemu.ts"
import { runDirectory } from "./run-directory.ts"

let tiny: TinyDriver
const made: [QemuHypervisor, VmHandle][] = []

before(async () => {
  tiny = await makeTinyDriver()
})
afterEach(async () => {
  for (const [owner, handle] of made.splice(0)) {
    await owner.destroy(handle)
    await owner[Symbol.asyncDispose]()
  }
})
after(() => tiny.dispose())

async function start(hardware: GuestHardware, change: Partial<VmSpec> = {}, owner = tiny.open()) {
  const serverId = newUuid()
  const handle = { serverId, driver: "qemu" }
  made.push([owner, handle])
  const input = { ...tiny.input(serverId, { ...change, hardware }), power: "running" as const }
  await owner.ensure(input, null)
  return { owner, handle, input, directory: runDirectory(tiny.vmsDir, serverId) }
}

/** What the guest answers to a line of its shell. */
async function ask({ owner, handle, directory }: Awaited<ReturnType<typeof start>>, line: string) {
  const said = async (pattern: RegExp) => pattern.exec(await owner.consoleLog(handle, null))?.[1]
  await eventually("the guest to be up", () => said(/GUEST is (up)/))
  const mark = newUuid().slice(0, 8)
  await typeOnSerial(directory.serialSocket, `echo "GUEST sa""ys" ${mark} $(${line}) "e""nd"`)
  return await eventually("an answer", () => said(new RegExp(`GUEST says ${mark} ([^\\n]*) end`)))
}

const threadsOf = (pid: number) => readdirSync(`/proc/${pid}/task`).map(Number)
const cpusOf = (pid: number, thread: number) =>
  /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8"))?.[1]

test("a guest sees its cells: which processors and how much memory each has", async () => {
  const cells = [
    { cpus: [0, 2], memoryMib: 96 },
    { cpus: [1], memoryMib: 160 },
  ]
  const guest = await start({ cells }, { vcpus: 3, ramMib: 256 })
  const nodes = "cd /sys/devices/system/node; for n in node?; do echo $n $(cat $n/cpulist); done"
  assert.equal(await ask(guest, nodes), "node0 0,2 node1 1")
  const memory = "sed -n 's/.*MemTotal: *//p' /sys/devices/system/node/node?/meminfo | tr -d ' kB'"
  const [first = 0, second = 0] = (await ask(guest, memory)).split(" ").map((kib) => Number(kib) / 1024)
  assert.ok(first > 40 && first <= 96, `${first} MiB of 96, of which the kernel keeps some`)
  assert.ok(second > 110 && second <= 160, `${second} MiB of 160`)
  // Suspended and taken up again it is the same machine.
  await guest.owner.suspend(guest.handle)
  await guest.owner.ensure(guest.input, null)
  assert.equal(await ask(guest, `${nodes}; echo again`), "node0 0,2 node1 1 again")
})

const groups = findCpuGroups()

test("its processor time is bounded by a cgroup of its own, of each processor for itself", async (t) => {
  if (groups.problem !== null) return t.skip(groups.problem)
  const cpuLimits = { shares: 512, periodUs: 50_000, quotaUs: 20_000 }
  const { owner, handle, input } = await start({ cpuLimits }, { vcpus: 2 })
  const pid = await owner.processId(handle)
  const [hierarchy] = hierarchiesOf(readFileSync("/proc/self/mountinfo", "utf8"))
  const group = join(hierarchy?.mount ?? "", `kumoi-${handle.serverId}`)
  const read = (file: string) => readFileSync(join(group, file), "utf8").trim()
  const processors = (await owner.diagnostics(handle)).cpus.length
  assert.equal(processors, 2)
  const bounds =
    hierarchy?.version === 1
      ? ["cpu.shares", "vcpu0/cpu.cfs_period_us", "vcpu0/cpu.cfs_quota_us", "vcpu1/cpu.cfs_quota_us"].map(
          read,
        )
      : ["cpu.weight", "vcpu0/cpu.max", "vcpu1/cpu.max"].map(read)
  assert.deepEqual(
    bounds,
    hierarchy?.version === 1 ? ["512", "50000", "20000", "20000"] : ["59", "20000 50000", "20000 50000"],
  )
  const inGroups = ["", "vcpu0", "vcpu1"].flatMap((one) =>
    read(join(one, hierarchy?.version === 1 ? "tasks" : "cgroup.threads"))
      .split("\n")
      .map(Number),
  )
  assert.deepEqual(
    inGroups.sort(),
    threadsOf(pid).sort(),
    "every thread is in it, two of them in groups of their own",
  )
  // A guest that was started before the agent has its bounds still; and again after its process has died.
  await owner.recover(handle)
  const identity = identifyProcess(pid)
  assert.ok(identity)
  await endProcess(identity, { graceMs: 0 })
  await eventually("its group to go", () => !existsSync(group))
  await owner.ensure(input, null)
  assert.equal(read(hierarchy?.version === 1 ? "cpu.shares" : "cpu.weight"), bounds[0])
  await owner.destroy(handle)
  assert.equal(existsSync(group), false)
})

test("a host that cannot bound processor time says why, and starts no guest that is to be bounded", async () => {
  const cpuGroups = findCpuGroups("1 2 0:1 / /proc rw - proc proc rw\n")
  assert.match(cpuGroups.problem ?? "", /no cgroup hierarchy with the cpu controller is mounted/)
  const owner = tiny.open({ cpuGroups })
  const { guestHardware } = await owner.describe()
  assert.equal(guestHardware?.cpuLimitsProblem, cpuGroups.problem)
  await assert.rejects(start({ cpuLimits: { shares: 512 } }, {}, owner), (error) => {
    assert.ok(agentStartFailed.is(error))
    return /no cgroup hierarchy/.test(error.message)
  })
  const [, handle] = made.at(-1) ?? []
  assert.equal(handle && (await owner.inspect(handle)).power, "shutdown")
})

test("pinned processors have one of the host's for themselves, and everything else keeps to the others", async (t) => {
  if (cpusOf(process.pid, process.pid) === "0") return t.skip("this host has one processor")
  const owner = () => tiny.open({ cpus: { dedicated: [1], shared: [0] } })
  const pinned = { cells: [{ cpus: [0, 1], memoryMib: 128 }], pinnedCpus: [1] }
  const { owner: mine, handle } = await start(pinned, { vcpus: 2 }, owner())
  assert.deepEqual(
    (await mine.diagnostics(handle)).cpus.map(({ id, pin }) => [id, pin]),
    [
      [0, undefined],
      [1, 1],
    ],
  )
  const pid = await mine.processId(handle)
  const bound = threadsOf(pid).map((thread) => cpusOf(pid, thread))
  assert.equal(bound.filter((cpus) => cpus === "1").length, 1)
  assert.ok(bound.every((cpus) => cpus === "0" || cpus === "1"))
  await assert.rejects(start(pinned, { vcpus: 2 }, owner()), /0 of the host's processors are left/)
  const ordinary = await start({}, {}, owner())
  const other = await ordinary.owner.processId(ordinary.handle)
  assert.deepEqual(new Set(threadsOf(other).map((thread) => cpusOf(other, thread))), new Set(["0"]))
  // An agent that may no longer give it any lets it go on.
  await mine[Symbol.asyncDispose]()
  const later = tiny.open({ cpus: { dedicated: [], shared: [0] } })
  made.push([later, handle])
  assert.equal((await later.recover(handle)).power, "running")
  // What ends gives its own back.
  await later.destroy(handle)
  await start(pinned, { vcpus: 2 }, owner())
})

test("memory is in pages of the size that is asked for, or the guest does not start", async (t) => {
  const cells = [{ cpus: [0], memoryMib: 128 }]
  const usable = readHostPages().find(({ sizeKib, free }) => sizeKib === 2048 && free >= 64)
  if (!usable) {
    await assert.rejects(
      start({ cells, pageSize: 2048 }),
      /has not enough pages of 2048 KiB free for 131072 KiB/,
    )
    const { owner, handle } = await start({ cells, pageSize: "any" })
    assert.equal((await owner.diagnostics(handle)).pageSizeKib, undefined)
    return t.skip("this host has no 64 free pages of 2 MiB (vm.nr_hugepages)")
  }
  const guest = await start({ cells, pageSize: "large" })
  assert.equal((await guest.owner.diagnostics(guest.handle)).pageSizeKib, 2048)
  assert.match(await ask(guest, "cat /proc/uptime"), /\d/)
})

test("its own disks are as fast as its flavor says, at each start", async () => {
  const ioLimits = { read_bytes_sec: 1_000_000, write_iops_sec: 50 }
  const disks = tiny.input(newUuid()).spec.disks.map((disk) => ({ ...disk, ioLimits }))
  const { owner, handle, directory } = await start({}, { disks })
  const limits = async () => {
    await owner[Symbol.asyncDispose]()
    const qmp = await QmpConnection.connect(directory.qmpSocket)
    const blocks = (await qmp.execute("query-block")) as { inserted?: Record<string, number> }[]
    await qmp.close()
    return blocks.map(({ inserted }) => [inserted?.bps_rd, inserted?.iops_wr, inserted?.bps])
  }
  assert.deepEqual(await limits(), [[1_000_000, 50, 0]])
  made.push([tiny.open(), handle])
})

test("a guest is shown what its flavor and image say of its machine", async () => {
  const properties = {
    ...{ hw_cpu_sockets: "1", hw_cpu_cores: "2", hw_cpu_threads: "1", hw_serial_port_count: "2" },
    ...{ hw_rng_model: "none", hw_input_bus: "virtio", img_hide_hypervisor_id: "true", hw_pmu: "false" },
    ...{ hw_scsi_model: "lsilogic", hw_video_ram: "5", hw_boot_menu: "true", hw_watchdog_action: "reset" },
  }
  const guest = await start({}, { vcpus: 2, properties })
  const ids = await ask(guest, "cat /sys/bus/pci/devices/*/modalias | sed 's/pci:v0000//;s/sv.*//' | sort")
  assert.doesNotMatch(ids, /1AF4d00001005/, "no source of random numbers")
  assert.match(ids, /1AF4d00001052.*1AF4d00001052/, "a tablet and a keyboard")
  assert.match(ids, /8086d000025AB/, "a watchdog")
  assert.equal(
    await ask(guest, "ls /sys/devices/platform/serial8250/tty /sys/devices/pnp0/*/tty | grep -c ttyS1"),
    "1",
  )
  assert.equal(await ask(guest, "grep -c . /sys/devices/system/cpu/cpu1/topology/core_siblings_list"), "1")
  assert.equal(await ask(guest, "cat /sys/devices/system/cpu/cpu1/topology/core_siblings_list"), "0-1")
  assert.ok(existsSync(dirname(guest.directory.serialLog)))
})

test("it goes on elsewhere with its cells, and is bounded there as it was", async () => {
  const elsewhere = await makeTinyDriver()
  try {
    const hardware = {
      cells: [
        { cpus: [0], memoryMib: 64 },
        { cpus: [1], memoryMib: 64 },
      ],
      ...(groups.problem === null && { cpuLimits: { shares: 700 } }),
    }
    const disks = tiny
      .input(newUuid())
      .spec.disks.map((disk) => ({ ...disk, sizeBytes: 16 * 1024 ** 2, ioLimits: { total_iops_sec: 5_000 } }))
    const guest = await start(hardware, { vcpus: 2, disks })
    const { owner, handle, input } = guest
    assert.equal(await ask(guest, "ls -d /sys/devices/system/node/node?"), nodePaths)
    const there = elsewhere.open()
    made.push([there, handle])
    const names = await owner.liveStreams(handle)
    const [out, incoming] = await pairs(names)
    // What its flavor says by now is for its next start.
    const later = {
      ...input.spec,
      properties: { hw_rng_model: "none" },
      hardware: { ...hardware, cells: [] },
    }
    const arriving = { ...elsewhere.input(handle.serverId, later), power: "running" as const }
    const layout = await owner.layoutOf(handle)
    await Promise.all([
      owner.sendLive(handle, out, howOf()),
      there.receiveLive(arriving, layout, incoming, never()),
    ])
    await owner.destroy(handle)
    await there.setPower(handle, "running", { graceMs: 0 })
    const moved = { ...guest, owner: there, directory: runDirectory(elsewhere.vmsDir, handle.serverId) }
    await typeOnSerial(
      moved.directory.serialSocket,
      `echo "GUEST is he""re" $(ls -d /sys/devices/system/node/node?)`,
    )
    const log = async () => await there.consoleLog(handle, null)
    await eventually("the guest to answer there", async () =>
      (await log()).includes(`GUEST is here ${nodePaths}`),
    )
    const pid = await there.processId(handle)
    if (groups.problem === null)
      assert.match(readFileSync(`/proc/${pid}/cgroup`, "utf8"), new RegExp(`kumoi-${handle.serverId}`))
  } finally {
    for (const [owner, handle] of made.splice(0)) {
      await owner.destroy(handle)
      await owner[Symbol.asyncDispose]()
    }
    elsewhere.dispose()
  }
})

const nodePaths = "/sys/devices/system/node/node0 /sys/devices/system/node/node1"
