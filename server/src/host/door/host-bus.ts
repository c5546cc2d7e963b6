// What a host may do on the cloud's bus: serve its own topic, and report of itself. What it says is checked here, as
// whoever has taken over one host must not speak for another.
import { IsObject, type Static, type TSchema, Type } from "typebox"
import { agentReportTopic, agentTopic } from "../../agent/protocol.ts"
import type { Bus } from "../../platform/bus/bus.ts"
import { fits } from "../../platform/schema/compiled.ts"
import { hostMayNot, hostTooOften } from "../faults.ts"

const Text = Type.String({ maxLength: 1_000 })
/** Of what is added up over hosts, and kept in whole numbers of four bytes. */
const Count = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })
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
  hostIp: Type.String({ pattern: "^[0-9a-fA-F.:]{2,45}$" }),
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
  // Each in its own type: the database reads them.
  abilities: Type.Object({
    liveMigration: Type.Boolean(),
    pause: Type.Boolean(),
    suspend: Type.Boolean(),
    hotplugVif: Type.Boolean(),
    snapshot: Type.Boolean(),
    accelerator: Type.Union([Type.Literal("kvm"), Type.Literal("tcg"), Type.Literal("none")]),
    metadata: Type.Optional(Type.Boolean()),
  }),
})

const at = Type.String({ maxLength: 40 })
const Alive = Type.Object({
  kind: Type.Literal("alive"),
  host: Text,
  at,
  description: Description,
  network: Type.Optional(Type.Object({ problem: Type.Union([Type.Null(), Text]) })),
})
const OfMachine = Type.Object({
  kind: Type.Literal("vm"),
  host: Text,
  at,
  serverId: Type.String({ format: "uuid" }),
  state: VmState,
})
type Report = Static<typeof Alive> | Static<typeof OfMachine>

/** Topics are the host's words: no more of them comes back or into the log. */
const shownMost = 100

/**
 * Reports at once, and then in a second: all machines of a large host may end together, and each report costs the
 * cloud a look into the database. A refused one costs a moment; the reconciler tells the same.
 */
const reportsAtOnce = 500
const reportsPerSecond = 50

/** The cloud's bus as the host may use it, for one connection. */
export function busOfHost(bus: Bus, host: string, address: string): Bus {
  const refuse = (what: string) => Promise.reject(hostMayNot(host, what.slice(0, shownMost)))
  const mayReport = allowance(reportsAtOnce, reportsPerSecond)
  return {
    name: bus.name,
    call: (topic) => refuse(`ask ${topic}`),
    cast: (topic) => refuse(`tell ${topic}`),
    subscribe: (topic) => refuse(`hear ${topic}`),
    serve: async (topic, handler, options) =>
      topic === agentTopic(host) ? await bus.serve(topic, handler, options) : await refuse(`serve ${topic}`),
    publish: async (topic, message) => {
      if (topic !== agentReportTopic) return await refuse(`publish ${topic}`)
      if (!mayReport()) throw hostTooOften(host)
      const report = reportOf(message, host, address)
      if (!report) return await refuse("report that")
      await bus.publish(topic, report)
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

/** So many at once, and so many more with each second. */
function allowance(most: number, perSecond: number): () => boolean {
  let left = most
  let at = performance.now()
  return () => {
    const now = performance.now()
    left = Math.min(most, left + ((now - at) / 1_000) * perSecond)
    at = now
    if (left < 1) return false
    left -= 1
    return true
  }
}

function reportOf(message: unknown, host: string, address: string): Report | undefined {
  const schema = [Alive, OfMachine].find((each) => fits(each, message))
  if (!schema) return undefined
  // The schema has just said so.
  const report = known(schema, message) as Report
  if (report.host !== host) return undefined
  if (report.kind !== "alive") return report
  const { host: described, hostIp } = report.description
  return described === host && hostIp === address ? report : undefined
}

/** What the cloud knows of it: a host that is newer may say more, and one that was taken over anything. */
function known(schema: TSchema, value: unknown): unknown {
  if (!IsObject(schema) || typeof value !== "object" || value === null) return value
  const found = Object.entries(value).flatMap(([key, each]) => {
    const of = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined
    return of ? [[key, known(of, each)] as const] : []
  })
  return Object.fromEntries(found)
}
