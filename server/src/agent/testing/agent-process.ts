// An agent in a process of its own, for tests that kill it: adopts what is there, then makes the machines whose ids
// are given, or gives them a volume, or takes it, or copies one. Prints `ready` after that.
//
//   node agent-process.ts DATA-DIR [SERVER-ID | plug:SERVER-ID:VOLUME-ID | unplug:SERVER-ID:VOLUME-ID |
//     copy:VOLUME-ID:NEW-VOLUME-ID:BYTES …]
import { systemClock } from "../../platform/clock/clock.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { fileVolume, makeQemuAgent, tinySpec } from "./qemu-agent.ts"
import { makeTinyGuest } from "./tiny-guest.ts"

const [dataDir, ...tasks] = process.argv.slice(2)
if (!dataDir) throw new Error("usage: agent-process.ts DATA-DIR [TASK …]")
const guest = await makeTinyGuest(dataDir)
const { agent } = await makeQemuAgent({ dataDir, guest, clock: systemClock, log: silentLogger })
await agent.recoverAll()
process.stdout.write("begin\n")
const fence = { generation: 1, fence: 1 }
for (const task of tasks) {
  const [what = "", serverId = "", volumeId = "", bytes = ""] = task.split(":")
  if (what === "copy") {
    const source = { kind: "volume" as const, volumeId: serverId }
    const create = { volumeId, backend: "file", sizeBytes: Number(bytes), source, fence }
    await agent.handle("volume.create", create)
  } else if (what === "plug")
    await agent.handle("vm.plug_volume", { serverId, disk: fileVolume(volumeId), fence })
  else if (what === "unplug") await agent.handle("vm.unplug_volume", { serverId, volumeId, fence })
  else await agent.handle("vm.ensure", { spec: tinySpec(what), power: "running", fence })
}
process.stdout.write("ready\n")
