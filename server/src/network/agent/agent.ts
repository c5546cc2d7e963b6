// What works for the network on a host. The engine's own processes are watched by the launcher; here is what the driver
// says of itself, written down by the process that works, so that every process answers the same.
import { createHash } from "node:crypto"
import { sql } from "kysely"
import { Type } from "typebox"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import {
  type BridgeMappings,
  bridgeMappingsOf,
  ownPublicBridge,
  ownPublicNetwork,
} from "../../platform/net/bridge-mappings.ts"
import { boolean, structure, text, time, uuid } from "../../platform/noun/field.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf, loadOf, ThingInput } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { anyObject, nullable } from "../../platform/schema/make.ts"
import { isSimulated } from "../driver/network-driver.ts"
import { agentAlive, agentNotFound, agentStatusFixed } from "../faults.ts"
import { isGateway, tellGateways } from "../gateway/gateway.ts"
import { syncOf } from "../sync/sync.ts"

const binaries = ["ovn-controller", "neutron-ovn-metadata-agent"] as const

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
  const own = ownMappings(platform)
  const mappings = own && JSON.stringify(own)
  const problem = (await platform.drivers.network.health()) ?? null
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
    insert into network.agent (id, host, binary_name, problem, bridge_mappings)
    select a.id, ${host}, a.name, ${problem}, ${mappings}::jsonb
    from unnest(${ids}::uuid[], ${[...binaries]}::text[]) a (id, name)
    on conflict (id) do update set problem = excluded.problem, started_at = ${started},
      bridge_mappings = excluded.bridge_mappings, heartbeat_at = now()
    returning (select is_ill from before) as "wasIll"`.execute(platform.db)
  // What waited for the engine goes on.
  if (problem === null && rows.some((row) => row.wasIll)) await platform.sagas.wake(platform.db)
  return { agents: ids.length }
}

/** Of the cloud's first host. */
function ownMappings({ config, drivers }: Platform): BridgeMappings | null {
  if (isSimulated(drivers.network)) return null
  return { [ownPublicNetwork]: ownPublicBridge, ...bridgeMappingsOf(config.network.bridgeMappings) }
}

/** What a host says of its part of the network. */
export interface HostNetworkReport {
  /** What is wrong with it. */
  problem: string | null
  /** Left out by hosts of an earlier program. */
  bridgeMappings?: BridgeMappings | undefined
}

/** What is as it was is written down so often only. */
const hostReportEveryMs = 25_000
type LastReport = { said: string; atMs: number }
const hostReports = new WeakMap<Platform["sagas"], Map<string, LastReport>>()

function reportsOf({ sagas }: Platform) {
  const found = hostReports.get(sagas) ?? new Map<string, LastReport>()
  hostReports.set(sagas, found)
  return found
}

/** How those of a joined host are, as that says with each of its reports. */
export async function noteHostAgents(
  platform: Platform,
  host: string,
  report: HostNetworkReport,
): Promise<void> {
  const { problem } = report
  const mappings = report.bridgeMappings ? JSON.stringify(report.bridgeMappings) : null
  const said = JSON.stringify(report)
  const known = reportsOf(platform)
  const atMs = platform.clock.monotonicMs()
  const last = known.get(host)
  if (last && last.said === said && atMs - last.atMs < hostReportEveryMs) return
  const ids = binaries.map((binary) => agentId(host, binary))
  const { rows } = await sql<{ isRemapped: boolean }>`
    with before as (select a.id, a.bridge_mappings from network.agent a where a.id = any(${ids}::uuid[]))
    insert into network.agent (id, host, binary_name, problem, bridge_mappings)
    select a.id, ${host}, a.name, ${problem}, ${mappings}::jsonb
    from unnest(${ids}::uuid[], ${[...binaries]}::text[]) a (id, name)
    on conflict (id) do update set problem = excluded.problem, bridge_mappings = excluded.bridge_mappings,
      heartbeat_at = now()
    returning agent.bridge_mappings is distinct from
      (select b.bridge_mappings from before b where b.id = agent.id) as "isRemapped"
  `.execute(platform.db)
  known.set(host, { said, atMs })
  if (rows.some(({ isRemapped }) => isRemapped)) await tellRemapped(platform, host)
}

/** Which floating IPs the host answers itself, and whether it can be a gateway, follows from the networks that it reaches. */
async function tellRemapped(platform: Platform, host: string): Promise<void> {
  await tellGateways(platform)
  if (!platform.config.network.enableDistributedFloatingIp) return
  const { rows } = await sql<{ id: string }>`select f.id from network.floating_ip f
    join network.port p on p.id = f.fixed_port_id where p.host_id = ${host}`.execute(platform.db)
  syncOf(platform).poke({ floatingIps: rows.map(({ id }) => id) })
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

interface AgentViewer {
  isAllowed: boolean
  zone: string
  driver: string
  /** The cloud's first host. */
  first: string
}

const viewer = (ctx: Ctx): AgentViewer => ({
  isAllowed: ctx.policy.isAllowed(ctx.caller, "get_agent", {}),
  zone: ctx.config.network.availabilityZone,
  driver: ctx.drivers.network.name,
  first: ctx.config.host,
})

const filter = { filter: true } as const
const listed = { ...filter, sort: true } as const

export const agentNoun = noun({
  name: "network.agent",
  table: sql`network.agent`,
  alias: "a",
  order: [
    { key: "host", direction: "asc" },
    { key: "binary", direction: "desc" },
  ],
  fields: {
    id: uuid(sql`a.id`, listed),
    /** In Neutron's words, which tell a host that is a gateway from one that is not. */
    agentType: text(
      ({ first }: AgentViewer) => sql`case when a.binary_name <> 'ovn-controller' then 'OVN Metadata agent'
        when ${isGateway(sql`a.host`, first)} then 'OVN Controller Gateway agent' else 'OVN Controller agent' end`,
      listed,
    ),
    binary: text(sql`a.binary_name`, listed),
    host: text(sql`a.host`, listed),
    topic: text(sql`'n/a'`, filter),
    adminStateUp: boolean(sql`true`, { update: true, ...filter }),
    alive: boolean(
      sql`(a.problem is null and a.heartbeat_at > now() - ${sql.lit(`${aliveForSeconds}s`)}::interval)`,
      filter,
    ),
    availabilityZone: text(({ zone }: AgentViewer) => sql`${zone}::text`, filter),
    createdAt: time(sql`a.created_at`),
    startedAt: time(sql`a.started_at`),
    heartbeatTimestamp: time(sql`a.heartbeat_at`),
    configurations: structure(
      anyObject,
      ({ driver }: AgentViewer) => sql`jsonb_strip_nulls(jsonb_build_object('driver', ${driver}::text,
        'bridge-mappings', coalesce(a.bridge_mappings, '{}'), 'problem', a.problem))`,
    ),
    description: text(sql`a.description`, { update: true, input: nullable(Type.String({ maxLength: 255 })) }),
  },
  /** To others there are none. */
  visible: ({ isAllowed }: AgentViewer) => {
    if (isAllowed) return visibleToAll
    const none = sql<boolean>`false`
    return { row: none, main: none, others: [] }
  },
  notFound: agentNotFound,
})

export type Agent = Thing<typeof agentNoun>

const found = { viewer, target: () => ({}) }
const load = loadOf(agentNoun, found)

export const listAgents = listOf(agentNoun, { ...found, rule: "get_agent" })
export const getAgent = getOf(agentNoun, { ...found, rule: "get_agent" })

export const updateAgent = operation({
  name: "network.agent.update",
  input: Type.Object({ id: Type.String(), changes: agentNoun.changes }),
  faults: [agentNotFound, agentStatusFixed],
  load,
  rule: "update_agent",
  run: async (ctx, { id, changes: { adminStateUp, description } }) => {
    if (adminStateUp === false) throw agentStatusFixed()
    const values = { description: description === null ? "" : description }
    const changed = await updateThing(ctx.db, agentNoun, viewer(ctx), id, values)
    if (!changed) throw agentNotFound(id)
    return changed
  },
})

/** Of a host that is gone for good. */
export const deleteAgent = operation({
  name: "network.agent.delete",
  input: ThingInput,
  faults: [agentNotFound, agentAlive],
  load,
  rule: "delete_agent",
  run: async (ctx, { id }, { alive }) => {
    if (alive) throw agentAlive(id)
    await sql`delete from network.agent where id = ${id}`.execute(ctx.db)
  },
})
