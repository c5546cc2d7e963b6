// What works for the network on a host. The engine's own processes are watched by the launcher; here is what the driver
// says of itself, written down by the process that works, so that every process answers the same.
import { createHash } from "node:crypto"
import { sql } from "kysely"
import { Type } from "typebox"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { agentAlive, agentNotFound, agentStatusFixed } from "../faults.ts"

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
  description: string
}

/** In Neutron's words, which tell a host that is a gateway from one that is not. */
const agentTypes: Readonly<Record<string, (isGateway: boolean) => string>> = {
  "ovn-controller": (isGateway) => (isGateway ? "OVN Controller Gateway agent" : "OVN Controller agent"),
  "neutron-ovn-metadata-agent": () => "OVN Metadata agent",
}

const reportIntervalMs = 15_000
const reportTimeoutMs = 10_000
/** Who has not reported for so long is dead. Neutron's agent_down_time. */
const aliveForSeconds = 75

/** Stays the same from start to start: made from what it names. */
function agentId(host: string, binary: string): string {
  const hex = createHash("sha256").update(`network.agent ${host} ${binary}`).digest("hex")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** How this host's are. Who was deleted comes back when it works, and at a start. */
export async function reportAgents(
  platform: Platform,
  { isStart = false } = {},
): Promise<{ agents: number }> {
  const { host } = platform.config
  const problem = (await platform.drivers.network.health()) ?? null
  const binaries = Object.keys(agentTypes)
  const ids = binaries.map((binary) => agentId(host, binary))
  if (problem !== null && !isStart) {
    await sql`update network.agent set problem = ${problem} where id = any(${ids}::uuid[])`.execute(
      platform.db,
    )
    return { agents: 0 }
  }
  const started = isStart ? sql`now()` : sql`network.agent.started_at`
  const { rows } = await sql<{ wasIll: boolean }>`with before as (
      select bool_or(problem is not null) as is_ill from network.agent where id = any(${ids}::uuid[]))
    insert into network.agent (id, host, binary_name, problem)
    select a.id, ${host}, a.name, ${problem} from unnest(${ids}::uuid[], ${binaries}::text[]) a (id, name)
    on conflict (id) do update set problem = excluded.problem, started_at = ${started},
      heartbeat_at = now()
    returning (select is_ill from before) as "wasIll"`.execute(platform.db)
  // What waited for the engine goes on.
  if (problem === null && rows.some((row) => row.wasIll)) await platform.sagas.wake(platform.db)
  return { agents: ids.length }
}

/** What is as it was is written down so often only. */
const hostReportEveryMs = 25_000
const hostReports = new WeakMap<Platform["sagas"], Map<string, { problem: string | null; atMs: number }>>()

function reportsOf({ sagas }: Platform) {
  const found = hostReports.get(sagas) ?? new Map<string, { problem: string | null; atMs: number }>()
  hostReports.set(sagas, found)
  return found
}

/** How those of a joined host are, as that says with each of its reports. */
export async function noteHostAgents(
  platform: Platform,
  host: string,
  problem: string | null,
): Promise<void> {
  const known = reportsOf(platform)
  const atMs = platform.clock.monotonicMs()
  const last = known.get(host)
  if (last && last.problem === problem && atMs - last.atMs < hostReportEveryMs) return
  const binaries = Object.keys(agentTypes)
  const ids = binaries.map((binary) => agentId(host, binary))
  await sql`
    insert into network.agent (id, host, binary_name, problem, is_gateway)
    select a.id, ${host}, a.name, ${problem}, false from unnest(${ids}::uuid[], ${binaries}::text[]) a (id, name)
    on conflict (id) do update set problem = excluded.problem, is_gateway = false, heartbeat_at = now()
  `.execute(platform.db)
  known.set(host, { problem, atMs })
}

/** The host is none any more. */
export async function forgetHostAgents({ db }: Platform, host: string): Promise<void> {
  await sql`delete from network.agent where host = ${host}`.execute(db)
}

export const agentReconciler: Reconciler = {
  name: "network.agents",
  intervalMs: reportIntervalMs,
  timeoutMs: reportTimeoutMs,
  run: (platform) => reportAgents(platform),
}

interface AgentRow extends Pick<Agent, "id" | "host" | "binary" | "description" | "alive"> {
  problem: string | null
  isGateway: boolean
  createdAt: Date
  startedAt: Date
  heartbeatAt: Date
}

async function selectAgents(ctx: Ctx, id?: string): Promise<Agent[]> {
  const one = id === undefined ? sql`` : sql`where id = ${id}`
  const { rows } =
    await sql<AgentRow>`select id, host, binary_name as "binary", description, problem, is_gateway as "isGateway",
      problem is null and heartbeat_at > now() - make_interval(secs => ${aliveForSeconds}) as alive,
      created_at as "createdAt", started_at as "startedAt", heartbeat_at as "heartbeatAt"
    from network.agent ${one} order by host, binary_name desc`.execute(ctx.db)
  return rows.map(({ problem, heartbeatAt, isGateway, ...row }) => ({
    ...row,
    agentType: agentTypes[row.binary]?.(isGateway) ?? row.binary,
    topic: "n/a",
    adminStateUp: true,
    availabilityZone: ctx.config.network.availabilityZone,
    heartbeatTimestamp: heartbeatAt,
    configurations: {
      driver: ctx.drivers.network.name,
      "bridge-mappings": {},
      ...(problem === null ? {} : { problem }),
    },
  }))
}

/** Empty for those who may not see them. */
export const listAgents = operation({
  name: "network.agent.list",
  input: Type.Object({}),
  rowRule: "get_agent",
  run: async (ctx) => (ctx.policy.isAllowed(ctx.caller, "get_agent", {}) ? await selectAgents(ctx) : []),
})

const AgentInput = Type.Object({ agentId: Type.String() })

async function visibleAgent(ctx: Ctx, { agentId }: { agentId: string }): Promise<Agent> {
  const isSeen = isUuid(agentId) && ctx.policy.isAllowed(ctx.caller, "get_agent", {})
  const [agent] = isSeen ? await selectAgents(ctx, agentId) : []
  if (!agent) throw agentNotFound(agentId)
  return agent
}

export const getAgent = operation({
  name: "network.agent.get",
  input: AgentInput,
  faults: [agentNotFound],
  load: visibleAgent,
  rule: "get_agent",
  run: async (_ctx, _input, agent) => agent,
})

export const updateAgent = operation({
  name: "network.agent.update",
  input: Type.Object({
    agentId: Type.String(),
    adminStateUp: Type.Optional(Type.Boolean()),
    description: Type.Optional(Type.String({ maxLength: 255 })),
  }),
  faults: [agentNotFound, agentStatusFixed],
  load: visibleAgent,
  rule: "update_agent",
  run: async (ctx, { adminStateUp, description }, agent): Promise<Agent> => {
    if (adminStateUp === false) throw agentStatusFixed()
    if (description === undefined) return agent
    await sql`update network.agent set description = ${description} where id = ${agent.id}`.execute(ctx.db)
    return { ...agent, description }
  },
})

/** Of a host that is gone for good. */
export const deleteAgent = operation({
  name: "network.agent.delete",
  input: AgentInput,
  faults: [agentNotFound, agentAlive],
  load: visibleAgent,
  rule: "delete_agent",
  run: async (ctx, _input, agent) => {
    if (agent.alive) throw agentAlive(agent.id)
    await sql`delete from network.agent where id = ${agent.id}`.execute(ctx.db)
  },
})
