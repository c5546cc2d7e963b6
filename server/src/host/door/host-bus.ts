// What a host may do on the cloud's bus: serve its own topic, and report of itself. What it says is checked here, as
// whoever has taken over one host must not speak for another.
import { type Static, Type } from "typebox"
import { agentReportTopic, agentTopic } from "../../agent/protocol.ts"
import type { Bus } from "../../platform/bus/bus.ts"
import { fits } from "../../platform/schema/compiled.ts"
import { hostMayNot } from "../faults.ts"

const Text = Type.String({ maxLength: 1_000 })
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const stateWords = ["running", "paused", "suspended", "shutdown", "crashed", "absent"] as const

const VmState = Type.Object({
  power: Type.Union(stateWords.map((word) => Type.Literal(word))),
  since: Type.String({ maxLength: 40 }),
  reason: Type.Optional(Text),
  cannotStart: Type.Optional(Text),
})

const Description = Type.Object({
  host: Text,
  hypervisorType: Type.Union([Type.Literal("QEMU"), Type.Literal("fake")]),
  hypervisorVersion: Count,
  hostIp: Type.String({ maxLength: 64 }),
  vcpus: Count,
  ramMib: Count,
  diskGib: Count,
  cpuInfo: Type.Object({
    vendor: Text,
    model: Text,
    arch: Text,
    topology: Type.Object({ cores: Count, threads: Count, sockets: Count }),
    features: Type.Array(Type.String({ maxLength: 64 }), { maxItems: 1_000 }),
  }),
  abilities: Type.Record(Type.String(), Type.Union([Type.Boolean(), Type.String({ maxLength: 16 })])),
})

const at = Type.String({ maxLength: 40 })
const Report = Type.Union([
  Type.Object({
    kind: Type.Literal("alive"),
    host: Text,
    at,
    description: Description,
    network: Type.Optional(Type.Object({ problem: Type.Union([Type.Null(), Text]) })),
  }),
  Type.Object({
    kind: Type.Literal("vm"),
    host: Text,
    at,
    serverId: Type.String({ format: "uuid" }),
    state: VmState,
  }),
])

/** The cloud's bus as the host may use it. */
export function busOfHost(bus: Bus, host: string): Bus {
  const refuse = (what: string) => Promise.reject(hostMayNot(host, what))
  return {
    name: bus.name,
    call: (topic, method) => refuse(`ask ${topic} for ${method}`),
    cast: (topic, method) => refuse(`tell ${topic} ${method}`),
    subscribe: (topic) => refuse(`hear ${topic}`),
    serve: async (topic, handler, options) =>
      topic === agentTopic(host) ? await bus.serve(topic, handler, options) : await refuse(`serve ${topic}`),
    publish: async (topic, message) => {
      if (topic !== agentReportTopic) return await refuse(`publish ${topic}`)
      if (!isReportOf(host, message)) return await refuse("report that")
      await bus.publish(topic, message)
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

function isReportOf(host: string, message: unknown): boolean {
  if (!fits(Report, message)) return false
  // The schema has just said so.
  const report = message as Static<typeof Report>
  if (report.host !== host) return false
  return report.kind !== "alive" || report.description.host === host
}
