// Hosts and a cloud of different programs, at the cloud's own door: of the version before, too old, too new.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { agentReportTopic, commandsSince } from "../src/agent/protocol.ts"
import { sendToAgent } from "../src/engine/agent-call.ts"
import { answerHost, type ShownHost } from "../src/launch/host-answer.ts"
import { renderHostAnswer } from "../src/launch/host-render.ts"
import { type Hello, ownHello } from "../src/platform/bus/hello.ts"
import { type LinkState, openLinkBus } from "../src/platform/bus/link-bus.ts"
import { PeerBus } from "../src/platform/bus/peer-bus.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import { createLogger } from "../src/platform/log/log.ts"
import { ownProgram } from "../src/platform/program/program.ts"
import { HostsCloud } from "./hosts-cloud.ts"

let at: HostsCloud
before(async () => {
  at = await HostsCloud.start()
})
after(async () => await at?.[Symbol.asyncDispose]())

async function shown(name: string): Promise<{ host: ShownHost; list: string; described: string }> {
  const answer = await answerHost(at.cloud.cloud, { action: "list" })
  assert.ok("cloudHosts" in answer)
  const host = answer.cloudHosts.find((each) => each.name === name)
  assert.ok(host, `${name} is not in the list`)
  const described = renderHostAnswer(await answerHost(at.cloud.cloud, { action: "describe", host: name }))
  return { host, list: renderHostAnswer(answer), described }
}

/** As a host that says this of itself; null: it is of before there was a hello. */
async function connect(name: string, hello: Hello | null): Promise<PeerBus> {
  using client = at.clientOf(await at.joinAs(name))
  const socket = await client.openBus(AbortSignal.timeout(240_000))
  const bus = new PeerBus(socket, hello === null ? {} : { hello })
  if (hello !== null) await bus.greet()
  return bus
}

const { newest } = ownProgram().protocol
const askHost = (host: string) =>
  sendToAgent(at.cloud.cloud.platform, host, "vm.list", {}, { timeoutMs: 240_000 })

test("the cloud's own host says which program it is", async () => {
  const { platform } = at.cloud.cloud
  const { host } = await eventually("its report", async () => {
    const found = await shown(platform.config.host)
    return found.host.version !== null && found
  })
  assert.deepEqual([host.version, host.protocol], [ownProgram().version, ownProgram().protocol])
  const { list, described } = await shown(platform.config.host)
  assert.match(list, /VERSION/)
  assert.ok(list.includes(ownProgram().version))
  assert.match(described, /program +\d+\.\d+\.\d+.* \(protocol 1 to \d+\)/)
})

for (const [what, name, hello] of [
  ["a host of before there was a hello", "host2", null],
  ["a host of the first version", "host3", { program: "0.0.9", protocol: { oldest: 1, newest: 1 } }],
  ["a host of the next version", "host4", { program: "9.0.0", protocol: { oldest: 1, newest: newest + 1 } }],
] as const) {
  test(`${what} is asked what it knows, and nothing else`, async () => {
    await using bus = await connect(name, hello)
    const asked: string[] = []
    await bus.serve(`agent.${name}`, async (method) => {
      asked.push(method)
      return []
    })
    assert.deepEqual(await askHost(name), [])
    // As if this command had come with the version that this program speaks.
    const versions = commandsSince as Record<string, number>
    versions["vm.list"] = newest
    try {
      const knows = (hello?.protocol.newest ?? 1) >= newest
      if (knows) await askHost(name)
      else
        await assert.rejects(askHost(name), {
          code: "agent.command.too_new",
          kind: "unsupported",
          message: /older program.*vm\.list/,
        })
      assert.deepEqual(asked, knows ? ["vm.list", "vm.list"] : ["vm.list"])
    } finally {
      versions["vm.list"] = 1
    }
    const told = await shown(name)
    assert.equal(told.host.refusal, null)
  })
}

test("a host that is too far apart is refused, and everybody reads which one to upgrade", async () => {
  const hello = { program: "9.0.0", protocol: { oldest: newest + 1, newest: newest + 2 } }
  using client = at.clientOf(await at.joinAs("host5"))
  const states: LinkState[] = []
  const logFile = join(at.scratch, "host5.log")
  const log = createLogger({ level: "warn", file: logFile })
  {
    await using link = openLinkBus({
      connect: (signal) => client.openBus(signal),
      ...{ hello, log, clock: systemClock, onChange: (state) => void states.push(state) },
    })
    await eventually("the refusal", async () => states.length > 0)
    await assert.rejects(link.publish(agentReportTopic, {}), { kind: "unavailable" })
  }
  const words = new RegExp(
    `9\\.0\\.0 .*too new for its cloud.*${ownHello().program?.replace("+", "\\+")}.*Upgrade the cloud`,
  )
  assert.match(states[0]?.problem ?? "", words)
  log.flush()
  assert.match(readFileSync(logFile, "utf8"), words)
  const { host, list, described } = await shown("host5")
  assert.match(host.refusal ?? "", words)
  assert.match(list, /host5 +never seen, refused/)
  assert.match(described, /refused +The host runs 9\.0\.0/)
  // Its operator takes it back.
  await using bus = new PeerBus(await client.openBus(AbortSignal.timeout(240_000)), {})
  assert.deepEqual(await bus.greet(), ownHello())
  assert.equal((await shown("host5")).host.refusal, null)
})
