// What `kumoi status` says of a cloud that runs in this process.
import { sql } from "kysely"
import type { Cloud, ServiceStatus } from "../main.ts"
import { isProcessAlive, processMemoryBytes } from "../platform/exec/process.ts"
import { describeError } from "../platform/fault/fault.ts"
import { describeBroker } from "./bus.ts"
import { describeDatabase } from "./database.ts"
import { apiProcessNames } from "./engines/api-process.ts"
import { ownRestarts } from "./parent.ts"
import type { Run } from "./run.ts"
import type { CloudStatus, ComponentStatus } from "./status.ts"

export async function statusOf(run: Run, cloud: Cloud): Promise<CloudStatus> {
  const own = ownStatus(run)
  const answering = new Set(apiProcessNames(run.options.workers))
  const engines = run.supervisor.status().map((e) => {
    const kind = answering.has(e.name) ? ("process" as const) : ("engine" as const)
    return { ...e, kind, detail: e.lastError }
  })
  // Together: each waits for a connection while the database is away.
  const [others, controls, services] = await Promise.all([
    externals(run, cloud),
    controlHosts(run, cloud),
    cloud.services(),
  ])
  const components = [
    ...[own, ...parentStatus(run), ...engines, ...others],
    ...[...controls, ...services.map(serviceStatus)],
  ]
  return {
    state: "running",
    url: run.url,
    dataDir: run.dir.path,
    hypervisor: run.plan.hypervisor,
    network: run.plan.network,
    memoryBytes: components.reduce((sum, c) => sum + c.memoryBytes, 0),
    components,
  }
}

export function ownStatus({ startedAt }: Pick<Run, "startedAt">): ComponentStatus {
  return {
    name: "kumoi",
    kind: "process",
    state: "running",
    pid: process.pid,
    since: startedAt.toISOString(),
    memoryBytes: processMemoryBytes(process.pid),
    restarts: ownRestarts(),
    detail: null,
  }
}

/** Whether somebody starts this process again; not shown where nobody was to. */
export function parentStatus({ parent, startedAt }: Pick<Run, "parent" | "startedAt">): ComponentStatus[] {
  if (!parent) return []
  const isThere = isProcessAlive(parent)
  return [
    {
      name: "parent",
      kind: "process",
      state: isThere ? "running" : "gone",
      pid: isThere ? parent.pid : null,
      since: startedAt.toISOString(),
      memoryBytes: isThere ? processMemoryBytes(parent.pid) : 0,
      restarts: 0,
      detail: isThere ? null : "nobody starts this cloud again when its process dies",
    },
  ]
}

function serviceStatus({ name, problem, note, since }: ServiceStatus): ComponentStatus {
  const state = problem === null ? "ok" : "failing"
  const found = { name, kind: "service" as const, state, pid: null, since: since?.toISOString() ?? null }
  return { ...found, memoryBytes: 0, restarts: 0, detail: problem ?? note }
}

/** The other control hosts, which are to take this one's place. */
async function controlHosts({ host }: Run, { hosts }: Cloud): Promise<ComponentStatus[]> {
  const common = { kind: "external" as const, pid: null, since: null, memoryBytes: 0, restarts: 0 }
  const members = await inTime(hosts?.members() ?? Promise.resolve([])).catch(() => [])
  return members
    .filter(({ name, isControl }) => isControl && name !== host)
    .map(({ name, address, isConnected }) => ({
      ...common,
      name: `control ${name}`,
      state: isConnected ? "ok" : "failing",
      detail: isConnected ? `${address} stands by` : `${address} is away: it cannot take over`,
    }))
}

/** The operator's engines that this cloud uses: whether they answer now. */
async function externals(run: Run, cloud: Cloud): Promise<ComponentStatus[]> {
  const { databaseUrl, brokerUrl } = run.options
  const { db, bus } = cloud.platform
  const found: Promise<ComponentStatus>[] = []
  if (databaseUrl) {
    const ask = async () => void (await sql`select 1`.execute(db))
    found.push(external("postgres", describeDatabase(databaseUrl), ask))
  }
  // A broker confirms each message.
  if (brokerUrl) found.push(external("rabbitmq", describeBroker(brokerUrl), () => bus.publish("status", {})))
  return await Promise.all(found)
}

async function external(name: string, at: string, ask: () => Promise<void>): Promise<ComponentStatus> {
  const common = { name, kind: "external" as const, pid: null, since: null, memoryBytes: 0, restarts: 0 }
  return await inTime(ask()).then(
    () => ({ ...common, state: "ok", detail: at }),
    (error: unknown) => ({ ...common, state: "failing", detail: `${at}: ${describeError(error)}` }),
  )
}

/** One that takes what it is told and does not answer keeps nobody who asks for the status. */
const externalTimeoutMs = 3_000

async function inTime<T>(asked: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const error = new Error(`no answer within ${externalTimeoutMs / 1000} s`)
  const timer = setTimeout(() => late.reject(error), externalTimeoutMs)
  return await Promise.race([asked, late.promise]).finally(() => clearTimeout(timer))
}
