// What operators do about machines that differ from the rows: list them, take one in, or delete it for good. Nothing
// is kept in the database about them: each host knows what it has, and the comparison is made when it is asked for.
import type { AsideMachine, LocalMachine } from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { callAgent } from "../agent-call.ts"
import { hostNotFound, machineNotUnknown } from "../faults.ts"
import { selectServersForSync } from "../server/store.ts"
import { isHostUp } from "./host.ts"
import { type MachineAction, planMachines } from "./machines.plan.ts"
import { selectHosts } from "./store.ts"

/**
 * aside: set aside on the host. unknown: in its place, and no row has its id. deleted, left: in its place, and its
 * server is deleted or elsewhere. missing: a server whose machine is not there.
 */
export type FindingKind = "aside" | "unknown" | "deleted" | "left" | "missing"

export interface Finding {
  host: string
  kind: FindingKind
  /** What `adopt` and `discard` are told. */
  id: string
  serverId: string
  name: string | null
  projectId: string | null
  vcpus: number | null
  ramMib: number | null
  power: string
  sizeBytes: number
  /** When it was set aside, and why; null for what is in its place. */
  at: string | null
  why: string | null
  machine: LocalMachine | AsideMachine | null
}

export interface HostFindings {
  host: string
  /** Why the host could not be asked. */
  error: string | null
  findings: Finding[]
}

/** Of one host, or of all. */
export async function listUnknownMachines(platform: Platform, only: string | null): Promise<HostFindings[]> {
  const hosts = (await selectHosts(platform.db)).filter(({ name }) => only === null || name === only)
  if (only !== null && hosts.length === 0) throw hostNotFound(only)
  return await Promise.all(
    hosts.map(async (host) => {
      if (!isHostUp(host, platform.config.compute.serviceDownAfterMs)) {
        return { host: host.name, error: "the host is down", findings: [] }
      }
      try {
        return { host: host.name, error: null, findings: await findingsOf(platform, host.name) }
      } catch (error) {
        return { host: host.name, error: describeError(error), findings: [] }
      }
    }),
  )
}

async function findingsOf(platform: Platform, host: string): Promise<Finding[]> {
  const machines = await callAgent(platform, host, "vm.list", {})
  const ids = machines.map((machine) => machine.serverId)
  const servers = await selectServersForSync(platform.db, host, ids)
  const kinds = new Map<string, FindingKind>()
  const findings: Finding[] = []
  for (const action of planMachines(host, machines, servers)) {
    if (action.kind === "missing") findings.push(missing(host, action))
    else if (action.kind === "unknown") kinds.set(action.serverId, "unknown")
    else if (action.kind === "destroy")
      kinds.set(action.serverId, action.why === "deleted" ? "deleted" : "left")
  }
  const { here, aside } = await callAgent(platform, host, "host.unknown", { serverIds: [...kinds.keys()] })
  for (const machine of here) {
    const kind = kinds.get(machine.serverId) ?? "unknown"
    findings.push({ ...findingOf(host, machine), kind, id: machine.serverId, at: null, why: null })
  }
  for (const machine of aside) {
    const { entry: id, at, why } = machine
    findings.push({ ...findingOf(host, machine), kind: "aside", id, at, why })
  }
  return findings
}

function findingOf(host: string, machine: LocalMachine) {
  const { serverId, spec, power, sizeBytes } = machine
  return {
    host,
    serverId,
    name: spec?.name ?? null,
    projectId: spec?.projectId ?? null,
    vcpus: spec?.vcpus ?? null,
    ramMib: spec?.ramMib ?? null,
    power,
    sizeBytes,
    machine,
  }
}

function missing(host: string, { server }: Extract<MachineAction, { kind: "missing" }>): Finding {
  return {
    ...{ host, kind: "missing", id: server.id, serverId: server.id, name: server.name },
    ...{ projectId: server.projectId, vcpus: server.flavor.vcpus, ramMib: server.flavor.ramMib },
    ...{ power: "absent", sizeBytes: 0, at: null, why: null, machine: null },
  }
}

/** How many machines lie aside, by host; hosts that are down or do not answer in time are left out. */
export async function countMachinesAside(
  platform: Platform,
  timeoutMs: number,
): Promise<Map<string, number>> {
  const hosts = (await selectHosts(platform.db)).filter((host) =>
    isHostUp(host, platform.config.compute.serviceDownAfterMs),
  )
  const counts = await Promise.all(
    hosts.map(async ({ name }) => {
      const asked = callAgent(platform, name, "host.unknown", { serverIds: [] }, { timeoutMs })
      return [name, (await asked.catch(() => ({ aside: [] }))).aside.length] as const
    }),
  )
  return new Map(counts.filter(([, count]) => count > 0))
}

/** The one finding with this id, wherever it is; throws when there is none. */
export async function findUnknownMachine(platform: Platform, id: string): Promise<Finding> {
  const all = await listUnknownMachines(platform, null)
  const found = all.flatMap(({ findings }) => findings).filter((finding) => finding.id === id)
  // A machine whose server is missing one may lie aside under the same id: it is the one to act on.
  const finding = found.find(({ kind }) => kind !== "missing") ?? found[0]
  if (finding) return finding
  const silent = all.filter(({ error }) => error !== null).map(({ host }) => host)
  throw machineNotUnknown(id, silent)
}

/** Deletes the machine and its disks for good. */
export async function discardUnknownMachine(platform: Platform, id: string): Promise<Finding> {
  const finding = await findUnknownMachine(platform, id)
  const { host, kind, serverId } = finding
  if (kind === "missing") throw machineNotUnknown(id, [])
  const entry =
    kind === "aside"
      ? id
      : (await callAgent(platform, host, "vm.set_aside", { serverId, why: "discarded", fence: null })).entry
  await callAgent(platform, host, "host.discard", { entry })
  platform.log.warn(
    { host, serverId, kind, sizeBytes: finding.sizeBytes },
    "a machine was discarded for good",
  )
  return finding
}
