// The agent with real QEMU machines (tcg): boot, look inside, power, death of QEMU.
import assert from "node:assert/strict"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { eventually, systemClock } from "../platform/clock/clock.ts"
import { newUuid } from "../platform/ids/ids.ts"
import { silentLogger } from "../platform/log/log.ts"
import { agentDirectories } from "./machine-store.ts"
import { makeQemuAgent, type QemuAgent, tinySpec } from "./testing/qemu-agent.ts"
import { makeTinyGuest } from "./testing/tiny-guest.ts"

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-agent-"))
let subject: QemuAgent

before(async () => {
  const guest = await makeTinyGuest(dataDir)
  subject = await makeQemuAgent({ dataDir, guest, clock: systemClock, log: silentLogger })
  await subject.agent.recoverAll()
})
after(async () => {
  for (const { serverId } of await subject.agent.handle("vm.list", {})) {
    await subject.agent.handle("vm.destroy", { serverId, fence: { generation: 1000, fence: 1 } })
  }
  await subject.agent.release()
  rmSync(dataDir, { recursive: true })
})

const upText = "GUEST is up"

async function untilUp(serverId: string, times = 1): Promise<string> {
  return await eventually("the guest to be up", async () => {
    const { output } = await subject.agent.handle("vm.console_log", { serverId, lines: null })
    return output.split(upText).length > times && output
  })
}

test("a machine boots with its disks, its interface and its identity", async () => {
  const { agent } = subject
  const serverId = newUuid()
  const spec = tinySpec(serverId)
  const fence = { generation: 1, fence: 1 }
  const state = await agent.handle("vm.ensure", { spec, power: "running", fence })
  assert.equal(state.power, "running")
  const text = await untilUp(serverId)
  assert.match(text, /GUEST disk vda 32768 start=kumoi/)
  assert.match(text, /GUEST disk vdb 65536 .*ext4=ephemeral0 /)
  assert.match(text, /GUEST disk vdc 32768 .*swap=SWAPSPACE2 /)
  assert.match(text, /GUEST disk vdd .*iso=config-2/)
  assert.match(text, /GUEST config {"name":"vm1"}/)
  assert.match(text, /GUEST nic eth0 fa:16:3e:00:00:01/)
  assert.match(text, new RegExp(`GUEST product OpenStack Nova ${serverId}`))
  const root = join(agentDirectories(dataDir).vms, serverId)
  assert.ok(existsSync(join(root, "machine.json")))
  assert.deepEqual(await agent.handle("vm.destroy", { serverId, fence }).then((s) => s.power), "absent")
  assert.equal(existsSync(root), false)
})

test("a machine that is set aside while it runs is off, and boots again from the same disks when put back", async () => {
  const { agent, plugged } = subject
  const serverId = newUuid()
  const spec = tinySpec(serverId)
  await agent.handle("vm.ensure", { spec, power: "running", fence: { generation: 1, fence: 1 } })
  await untilUp(serverId)
  const directories = agentDirectories(dataDir)
  const disk = (root: string) => join(root, serverId, "disks/root.qcow2")
  const before = statSync(disk(directories.vms)).ino
  const { entry } = await agent.handle("vm.set_aside", { serverId, why: "a test", fence: null })
  assert.equal(statSync(disk(directories.lostAndFound)).ino, before)
  assert.ok(spec.vifs.every((vif) => !plugged.has(vif.portId)))
  assert.deepEqual(processesWith(serverId), [])
  const back = await agent.handle("vm.take_back", { entry })
  assert.equal(back.power, "shutdown")
  await agent.handle("vm.ensure", { spec, power: "running", fence: { generation: 3, fence: 1 } })
  await untilUp(serverId, 2)
  assert.equal(statSync(disk(directories.vms)).ino, before)
  await agent.handle("vm.set_aside", { serverId, why: "a test", fence: null })
  await agent.handle("host.discard", { entry })
  assert.ok(!existsSync(join(directories.lostAndFound, entry)))
})

/** Pids of QEMUs of this machine. */
function processesWith(serverId: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(serverId)
    } catch {
      return false
    }
  })
}
