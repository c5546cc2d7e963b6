// What works for the network on this host. The engine's own processes are watched by the launcher; here is what
// the driver says of itself.
import { createHash } from "node:crypto"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { agentNotFound } from "../faults.ts"

export interface Agent {
  id: string
  agentType: string
  binary: string
  host: string
  topic: string
  adminStateUp: boolean
  alive: boolean
  availabilityZone: string
  createdAt: Date
  startedAt: Date
  heartbeatTimestamp: Date
  configurations: Record<string, unknown>
  description: string | null
}

const kinds = [
  { agentType: "OVN Controller Gateway agent", binary: "ovn-controller" },
  { agentType: "OVN Metadata agent", binary: "neutron-ovn-metadata-agent" },
] as const

const startedAt = new Map<string, Date>()

/** Stays the same from start to start: made from what it names. */
function agentId(host: string, binary: string): string {
  const hex = createHash("sha256").update(`network.agent ${host} ${binary}`).digest("hex")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

async function currentAgents(ctx: Ctx): Promise<Agent[]> {
  const { host } = ctx.config
  const now = ctx.clock.now()
  const problem = await ctx.drivers.network.health()
  const since = startedAt.get(host) ?? now
  startedAt.set(host, since)
  return kinds.map(({ agentType, binary }) => ({
    id: agentId(host, binary),
    agentType,
    binary,
    host,
    topic: "n/a",
    adminStateUp: true,
    alive: problem === undefined,
    availabilityZone: ctx.config.network.availabilityZone,
    createdAt: since,
    startedAt: since,
    heartbeatTimestamp: now,
    configurations: { driver: ctx.drivers.network.name, "bridge-mappings": {} },
    description: problem ?? "",
  }))
}

/** Empty for those who may not see them. */
export const listAgents = operation({
  name: "network.agent.list",
  input: Type.Object({}),
  rowRule: "get_agent",
  run: async (ctx) => (ctx.policy.isAllowed(ctx.caller, "get_agent", {}) ? await currentAgents(ctx) : []),
})

export const getAgent = operation({
  name: "network.agent.get",
  input: Type.Object({ agentId: Type.String() }),
  faults: [agentNotFound],
  load: async (ctx, input) => {
    const agent = (await currentAgents(ctx)).find((a) => a.id === input.agentId)
    if (!agent || !ctx.policy.isAllowed(ctx.caller, "get_agent", {})) throw agentNotFound(input.agentId)
    return agent
  },
  rule: "get_agent",
  run: async (_ctx, _input, agent) => agent,
})
