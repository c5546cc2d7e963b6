// What an attacker, and the time that things take, do to a guest that goes to another host.
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdirSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import { linkedPair } from "../../../platform/streams/pair.ts"
import type { DiskSpec } from "../../protocol.ts"
import { howOf, logOf, makeSide, never, pairs, type Side, says, typeIn } from "../../testing/live-sides.ts"
import { testRunAs } from "../../testing/tiny-driver.ts"
import type { EnsureInput, VmHandle } from "../hypervisor.ts"
import { runDirectory } from "./run-directory.ts"

const mib = 1024 ** 2

let here: Side
let there: Side

before(async () => {
  ;[here, there] = await Promise.all([makeSide(), makeSide()])
})
const started: VmHandle[] = []
after(async () => {
  for (const { driver, tiny } of [here, there]) {
    // Of a test that failed.
    for (const handle of started) await driver.destroy(handle)
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
]
const layout = { machineType: "pc-i440fx-7.2", places: {} }

async function start(): Promise<{ input: EnsureInput; handle: VmHandle; arriving: EnsureInput }> {
  const serverId = newUuid()
  const input = { ...here.tiny.input(serverId, { disks, configDrive: null }), power: "running" as const }
  const handle = await here.driver.ensure(input, null)
  started.push(handle)
  await says(here, handle, "GUEST is up")
  const arriving: EnsureInput = { ...there.tiny.input(serverId, input.spec), power: "paused" }
  return { input, handle, arriving }
}

const countOf = async (side: Side, handle: VmHandle) =>
  Number(
    (await logOf(side, handle))
      .match(/count-(\d+)(?=\s)/g)
      ?.at(-1)
      ?.slice(6) ?? 0,
  )
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms))

test("a guest runs on while the other side gets ready to take it", async () => {
  const { handle } = await start()
  await typeIn(here, handle, "i=0; while true; do i=$((i+1)); echo count-$i; sleep 0.2; done &")
  await says(here, handle, "count-3")
  const [out, incoming] = await pairs(["memory", "root"])
  const sending = assert.rejects(here.driver.sendLive(handle, out, howOf()))
  // As when it fetches an image first.
  await pause(2_000)
  const first = await countOf(here, handle)
  await pause(8_000)
  const last = await countOf(here, handle)
  for (const stream of [...Object.values(out), ...Object.values(incoming)]) stream.destroy()
  await sending
  await here.driver.destroy(handle)
  assert.ok(last - first > 10, `it counted from ${first} to ${last} in eight seconds`)
})

test("the time of the memory does not begin before the disks are copied", async () => {
  const { handle, arriving } = await start()
  const [out, incoming] = await pairs(["memory", "root"])
  const how = howOf({ timeoutMs: 4_000 })
  const receiving = there.driver.receiveLive(arriving, layout, incoming, never())
  receiving.catch(() => {})
  // The disks take longer than that.
  await pause(8_000)
  const sending = here.driver.sendLive(handle, out, how)
  sending.catch(() => {})
  const [received, sent] = await Promise.allSettled([receiving, sending])
  await here.driver.destroy(handle)
  await there.driver.destroy(handle)
  const reason = received.status === "rejected" ? String(received.reason) : ""
  assert.deepEqual([received.status, sent.status], ["fulfilled", "fulfilled"], reason)
})

test("what is sent last gets there, though whoever sends it is done and closes the stream", async () => {
  const { handle, arriving } = await start()
  const [out, incoming] = await pairs(["memory", "root"])
  const [own, other] = linkedPair()
  let isHalted = false
  const slowly = async () => {
    for await (const chunk of other) {
      out.memory?.write(chunk)
      if (isHalted) await pause(50)
    }
    out.memory?.end()
  }
  const halted = eventually("the guest to be halted", async () => {
    isHalted = (await here.driver.inspect(handle)).power === "paused"
    return isHalted
  })
  const sending = here.driver.sendLive(handle, { ...out, memory: own }, howOf()).finally(() => own.destroy())
  const receiving = there.driver.receiveLive(arriving, layout, incoming, never())
  const [sent, received] = await Promise.allSettled([sending, receiving, slowly(), halted])
  await here.driver.destroy(handle)
  await there.driver.destroy(handle)
  const reason = received.status === "rejected" ? String(received.reason) : ""
  assert.deepEqual([sent.status, received.status], ["fulfilled", "fulfilled"], reason)
})

test("a guest that is paused goes, and one that comes back from there can all that it could", async () => {
  const { input, handle, arriving } = await start()
  await here.driver.setPower(handle, "paused", { graceMs: 0 })
  const [out, incoming] = await pairs(["memory", "root"])
  await Promise.all([
    here.driver.sendLive(handle, out, howOf()),
    there.driver.receiveLive(arriving, await here.driver.layoutOf(handle), incoming, never()),
  ])
  // The answer of the other side got lost.
  await there.driver.destroy(handle)
  await here.driver.endLive(handle)
  assert.equal((await here.driver.setPower(handle, "paused", { graceMs: 0 })).power, "paused")
  const copy = join(here.tiny.directory, "copy.qcow2")
  assert.ok((await here.driver.snapshot(handle, "root", copy)).sizeBytes > 0)
  await here.driver.setPower(handle, "running", { graceMs: 0 })
  const vif = { portId: newUuid(), macAddress: "fa:16:3e:00:00:09", mtu: 1400, device: null }
  await here.driver.plugVif(handle, vif)
  await typeIn(here, handle, "echo x | dd of=/dev/vda conv=fsync && echo wrote-$((40+2))")
  await says(here, handle, "wrote-42")
  assert.ok((await here.driver.snapshot(handle, "root", copy)).sizeBytes > 0)
  await here.driver.suspend(handle)
  await here.driver.ensure({ ...input, vifs: [vif], power: "running" }, handle)
  await typeIn(here, handle, "echo again-$((40+2))")
  await says(here, handle, "again-42")
  await here.driver.destroy(handle)
})

/** Of another guest's QEMU that was broken out of: it is the same user. */
function asGuest(script: string): ChildProcess {
  if (!testRunAs) throw new Error("for root alone")
  return spawn(process.execPath, ["-e", script], {
    ...testRunAs,
    stdio: ["ignore", "pipe", "inherit"],
    cwd: "/",
  })
}

const skip = testRunAs ? false : "for root alone"

test("the disks of a guest that comes are nobody else's on its host", { skip }, async () => {
  const serverId = newUuid()
  const arriving: EnsureInput = {
    ...there.tiny.input(serverId, { disks, configDrive: null }),
    power: "paused",
  }
  const [out, incoming] = await pairs(["memory", "root"])
  const receiving = assert.rejects(there.driver.receiveLive(arriving, layout, incoming, never()))
  const { live } = runDirectory(there.tiny.vmsDir, serverId)
  // It may be there first, and is greeted then; what counts is whether it ever gets to see a disk.
  const script = `
    const net = require("node:net")
    const end = Date.now() + 20000
    const say = (text) => { console.log(text); process.exit() }
    const list = Buffer.concat([Buffer.from("IHAVEOPT"), Buffer.from([0, 0, 0, 3, 0, 0, 0, 0])])
    const again = () => {
      if (Date.now() > end) say("late")
      const s = net.connect(${JSON.stringify(join(live, "disks.sock"))})
      let isGreeted = false
      s.once("error", (e) => e.code === "ENOENT" || e.code === "ECONNREFUSED" ? setTimeout(again, 5) : say(e.code))
      s.on("data", (d) => {
        if (!isGreeted) s.write(Buffer.from([0, 0, 0, 3]))
        // The type of an answer: 2 is one that has an export's name.
        else if (d.length >= 16 && d.readUInt32BE(12) === 2) say("sees a disk")
        isGreeted = true
        setTimeout(() => s.write(list), 5)
      })
      s.once("close", (hadError) => hadError || say("closed"))
    }
    again()`
  const other = asGuest(script)
  let told = ""
  other.stdout?.on("data", (data: Buffer) => {
    told += data.toString()
  })
  await once(other, "exit")
  for (const stream of [...Object.values(out), ...Object.values(incoming)]) stream.destroy()
  await receiving
  await there.driver.destroy({ serverId, driver: "qemu" })
  assert.notEqual(told.trim(), "sees a disk", "another guest's process is served")
})

test("what another host sends is brought to no socket that is root's alone", { skip }, async () => {
  const serverId = newUuid()
  const arriving: EnsureInput = {
    ...there.tiny.input(serverId, { disks, configDrive: null }),
    power: "paused",
  }
  const guarded = join(there.tiny.directory, "guarded")
  mkdirSync(guarded, { mode: 0o700 })
  const path = join(guarded, "root.sock")
  let got = ""
  const server = createServer((socket) => {
    socket.on("data", (data) => {
      got += data.toString()
    })
    socket.on("error", () => {})
  }).listen(path)
  await once(server, "listening")
  chmodSync(path, 0o600)
  const { live } = runDirectory(there.tiny.vmsDir, serverId)
  // It puts its own link in the place of the socket that QEMU makes.
  const script = `
    const fs = require("node:fs")
    const at = ${JSON.stringify(join(live, "disks.sock"))}
    const end = Date.now() + 20000
    while (Date.now() < end) {
      try { if (!fs.lstatSync(at).isSocket()) continue } catch { continue }
      try { fs.symlinkSync(${JSON.stringify(path)}, at + "x"); fs.renameSync(at + "x", at) } catch {}
      break
    }`
  for (let attempt = 0; attempt < 10 && got === ""; attempt++) {
    const other = asGuest(script)
    // Its loop is to run.
    await pause(500)
    const [out, incoming] = await pairs(["memory", "root"])
    out.root?.write("words of the other host")
    const receiving = there.driver.receiveLive(arriving, layout, incoming, AbortSignal.timeout(1_500))
    await receiving.catch(() => {})
    for (const stream of [...Object.values(out), ...Object.values(incoming)]) stream.destroy()
    other.kill("SIGKILL")
    if (other.exitCode === null && other.signalCode === null) await once(other, "exit")
  }
  await there.driver.destroy({ serverId, driver: "qemu" })
  server.close()
  assert.equal(got, "")
})
