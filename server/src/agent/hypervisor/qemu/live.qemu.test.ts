// A guest that runs goes to another host: two drivers, each with a directory of its own, and streams between them.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import type { DiskSpec } from "../../protocol.ts"
import { howOf, logOf, makeSide, never, pairs, type Side, says, typeIn } from "../../testing/live-sides.ts"
import type { EnsureInput, PluggedVif, VmHandle } from "../hypervisor.ts"

const mib = 1024 ** 2

let here: Side
let there: Side

before(async () => {
  ;[here, there] = await Promise.all([makeSide(), makeSide()])
})
after(async () => {
  for (const { driver, tiny } of [here, there]) {
    await driver[Symbol.asyncDispose]()
    tiny.dispose()
  }
})

const disks: DiskSpec[] = [
  {
    name: "root",
    source: { kind: "image", imageId: "root", checksum: "0".repeat(32), diskFormat: "raw" },
    ...{ sizeBytes: 32 * mib, bus: "virtio", bootIndex: 0 },
  },
  {
    name: "ephemeral0",
    source: { kind: "blank", fsLabel: "data" },
    ...{ sizeBytes: 16 * mib, bus: "virtio", bootIndex: null },
  },
]
const configDrive = {
  "openstack/latest/meta_data.json": Buffer.from("of-the-first-host\n").toString("base64"),
}
const vif = (n: number): PluggedVif => ({
  ...{ portId: newUuid(), macAddress: `fa:16:3e:00:00:0${n}`, mtu: 1400, device: null },
})

async function start(vifs: PluggedVif[]): Promise<{ input: EnsureInput; handle: VmHandle }> {
  const serverId = newUuid()
  const change = { disks, configDrive }
  const input = { ...here.tiny.input(serverId, change), vifs, power: "running" as const }
  const handle = await here.driver.ensure(input, null)
  await says(here, handle, "GUEST is up")
  return { input, handle }
}

test("a guest that runs goes on elsewhere: what it computes, its disks, and where its devices are", async () => {
  const [first, second, third] = [vif(1), vif(2), vif(3)]
  const { input, handle } = await start([first, second])
  await here.driver.plugVif(handle, third)
  await here.driver.unplugVif(handle, first.portId)
  await typeIn(
    here,
    handle,
    "secret=$((6*7)); echo kept-on-root | dd of=/dev/vda bs=512 seek=9000 conv=sync,fsync",
  )
  await typeIn(
    here,
    handle,
    "echo kept-on-data | dd of=/dev/vdb bs=512 seek=100 conv=sync,fsync; echo written-$secret",
  )
  await says(here, handle, "written-42")
  // It goes on writing, whatever happens to it.
  await typeIn(
    here,
    handle,
    "i=0; while true; do i=$((i+1)); echo n$i | dd of=/dev/vda bs=512 seek=8000 conv=sync,fsync 2>/dev/null; echo count-$i; sleep 0.2; done &",
  )
  await says(here, handle, "count-3")
  const names = await here.driver.liveStreams(handle)
  assert.deepEqual(names, ["memory", "config-drive", "root", "ephemeral0"])
  const [out, incoming] = await pairs(names)
  const arriving: EnsureInput = {
    ...there.tiny.input(handle.serverId, input.spec),
    vifs: [second, third],
    power: "paused",
  }
  const layout = await here.driver.layoutOf(handle)
  const sending = here.driver.sendLive(handle, out, howOf())
  const receiving = there.driver.receiveLive(arriving, layout, incoming, never())
  const [figures, arrived] = await Promise.all([sending, receiving])
  assert.ok(figures.memoryBytes > mib && figures.downtimeMs > 0, JSON.stringify(figures))
  const [before, now] = await Promise.all([here.driver.inspect(handle), there.driver.inspect(arrived)])
  assert.deepEqual([before.power, now.power], ["paused", "paused"], "it runs nowhere until somebody says so")
  const last = Number(
    (await logOf(here, handle))
      .match(/count-(\d+)(?=\s)/g)
      ?.at(-1)
      ?.slice(6),
  )
  await there.driver.setPower(arrived, "running", { graceMs: 0 })
  await here.driver.destroy(handle)
  await says(there, arrived, `count-${last + 3}`)
  assert.ok(!(await logOf(there, arrived)).includes("count-1\n"), "it did not begin again")
  await typeIn(
    there,
    arrived,
    "kill %1; echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=512 skip=9000 count=1; dd if=/dev/vdb bs=512 skip=100 count=1; mount -t iso9660 -o ro /dev/vdc /mnt; cat /mnt/openstack/latest/meta_data.json; echo read-$secret",
  )
  await says(there, arrived, "read-42")
  const log = await logOf(there, arrived)
  for (const words of ["kept-on-root", "kept-on-data", "of-the-first-host"])
    assert.ok(log.includes(words), words)
  const { nics } = await there.driver.diagnostics(arrived)
  assert.deepEqual(nics.map(({ macAddress }) => macAddress).sort(), [second.macAddress, third.macAddress])
  await there.driver.destroy(arrived)
})

test("a migration that is broken off leaves the guest where it was, and it may go again", async () => {
  const { input, handle } = await start([])
  const names = await here.driver.liveStreams(handle)
  const layout = await here.driver.layoutOf(handle)
  const arriving: EnsureInput = { ...there.tiny.input(handle.serverId, input.spec), power: "paused" }
  {
    const [out, incoming] = await pairs(names)
    const stop = new AbortController()
    const slow = howOf({ signal: stop.signal, mostBytesPerSecond: 200_000 })
    const sending = assert.rejects(here.driver.sendLive(handle, out, slow))
    const receiving = assert.rejects(there.driver.receiveLive(arriving, layout, incoming, stop.signal))
    await eventually(
      "memory to be on its way",
      async () => ((await here.driver.liveProgress(handle))?.memory.processedBytes ?? 0) > 100_000,
    )
    // As when the network between the two is cut.
    for (const stream of [...Object.values(out), ...Object.values(incoming)]) stream.destroy()
    await Promise.all([sending, receiving])
    await there.driver.destroy(handle)
  }
  const state = await here.driver.setPower(handle, "running", { graceMs: 0 })
  assert.equal(state.power, "running")
  assert.equal(await here.driver.liveProgress(handle), null)
  await typeIn(here, handle, "echo still-$((40+2))")
  await says(here, handle, "still-42")
  // A suspend sends memory by the same means, and does not wait for anybody.
  await here.driver.suspend(handle)
  await here.driver.ensure({ ...input, power: "running" }, handle)
  const [out, incoming] = await pairs(names)
  const [, arrived] = await Promise.all([
    here.driver.sendLive(handle, out, howOf()),
    there.driver.receiveLive(arriving, layout, incoming, never()),
  ])
  // An agent that comes after lets it not go on by itself.
  await here.driver[Symbol.asyncDispose]()
  here.driver = here.tiny.open()
  assert.equal((await here.driver.recover(handle)).power, "paused")
  await there.driver.setPower(arrived, "running", { graceMs: 0 })
  await typeIn(there, arrived, "echo there-$((40+2))")
  await says(there, arrived, "there-42")
  await here.driver.destroy(handle)
  await there.driver.destroy(arrived)
})

test("what a guest computes without a pause is right, however often it goes", async () => {
  const serverId = newUuid()
  const bare = { ...here.tiny.input(serverId, { disks: [], configDrive: null }), vifs: [] }
  let handle = await here.driver.ensure({ ...bare, power: "running" }, null)
  await says(here, handle, "GUEST is up")
  const fill = "n++; for (k = 0; k < 5000; k++) a[k] = n"
  const check = "for (k = 0; k < 5000; k++) if (a[k] != n) exit 1; if (n % 5 == 0) print n"
  await typeIn(here, handle, `awk 'BEGIN { for (;;) { ${fill}; ${check} } }' || echo it is wrong &`)
  let [from, to] = [here, there]
  for (let turn = 1; turn <= 3; turn++) {
    const rounds = (log: string) => [...log.matchAll(/^\d+(?=\s)/gm)].length
    await eventually("it to compute", async () => {
      const log = await logOf(from, handle)
      return rounds(log) > 0 || /it is wrong/.test(log)
    })
    const [out, incoming] = await pairs(await from.driver.liveStreams(handle))
    const layout = await from.driver.layoutOf(handle)
    // So slowly that it writes meanwhile, if it can.
    const sending = from.driver.sendLive(handle, out, howOf({ mostBytesPerSecond: 30 * mib, downtimeMs: 5 }))
    const arriving: EnsureInput = { ...to.tiny.input(serverId, bare.spec), vifs: [], power: "paused" }
    const receiving = to.driver.receiveLive(arriving, layout, incoming, never())
    const [, arrived] = await Promise.all([sending, receiving])
    await from.driver.destroy(handle)
    await to.driver.setPower(arrived, "running", { graceMs: 0 })
    handle = arrived
    ;[from, to] = [to, from]
  }
  await typeIn(from, handle, "echo still-$((40+2))")
  await says(from, handle, "still-42")
  assert.doesNotMatch(await logOf(from, handle), /it is wrong|rror|BUG|panic/)
  await from.driver.destroy(handle)
})
