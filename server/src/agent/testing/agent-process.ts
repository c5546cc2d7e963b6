// An agent in a process of its own, for tests that kill it: adopts what is there, then makes the machines whose ids
// are given. Prints `ready` after that.   node agent-process.ts DATA-DIR [SERVER-ID …]
import { systemClock } from "../../platform/clock/clock.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { makeQemuAgent, tinySpec } from "./qemu-agent.ts"
import { makeTinyGuest } from "./tiny-guest.ts"

const [dataDir, ...serverIds] = process.argv.slice(2)
if (!dataDir) throw new Error("usage: agent-process.ts DATA-DIR [SERVER-ID …]")
const guest = await makeTinyGuest(dataDir)
const { agent } = await makeQemuAgent({ dataDir, guest, clock: systemClock, log: silentLogger })
await agent.recoverAll()
process.stdout.write("begin\n")
for (const serverId of serverIds) {
  const fence = { generation: 1, fence: 1 }
  await agent.handle("vm.ensure", { spec: tinySpec(serverId), power: "running", fence })
}
process.stdout.write("ready\n")
