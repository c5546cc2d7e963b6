// The running cloud's side of `kumoi host`.
import { hostNameWords, isHostName } from "../agent/door-protocol.ts"
import {
  adoptMachine,
  discardUnknownMachine,
  type Finding,
  type HostFacts,
  type HostFindings,
  type HostLoad,
  hostHasServers,
  listUnknownMachines,
  selectHostFacts,
  selectProjectLoads,
  setHostDisabled,
} from "../compute/index.ts"
import { hostMissing, hostNameTaken } from "../host/index.ts"
import type { CloudHosts } from "../hosts.ts"
import { findProject } from "../identity/index.ts"
import type { Cloud } from "../main.ts"
import { type GatewayHost, selectBridgeMappings } from "../network/index.ts"
import { internalCaller } from "../platform/auth/caller.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"
import { addressOfEnd, isLoopback } from "../platform/net/address.ts"
import type { BridgeMappings } from "../platform/net/bridge-mappings.ts"
import type { ProtocolRange } from "../platform/program/program.ts"

export type HostQuestion =
  | { action: "token"; host: string | null; address: string | null; lastsMs: number; isControl: boolean }
  | { action: "list" }
  | { action: "describe"; host: string }
  | { action: "disable"; host: string; reason: string }
  | { action: "enable"; host: string }
  | { action: "gateway"; host: string; isGateway: boolean; priority: number | null }
  | { action: "remove"; host: string }
  | { action: "unknown"; host: string | null }
  | { action: "adopt"; id: string; project: string | null }
  | { action: "discard"; id: string }

/** A finding as it is shown: without the machine's whole record. */
export type ShownFinding = Omit<Finding, "machine">

export interface ShownHost {
  name: string
  /** Null: the cloud's first host, or one that has not reported yet. */
  address: string | null
  state: "up" | "down" | "never seen"
  isDisabled: boolean
  disabledReason: string | null
  zone: string | null
  /** Of a control host: whether it works now; null: it is none. */
  control: "works" | "stands by" | "away" | null
  /** Among the gateways the highest carries, equal ones share; null: it is none. */
  gatewayPriority: number | null
  /** By physical network: the bridge by which it reaches that; null: it did not say. */
  bridgeMappings: BridgeMappings | null
  lastSeenAt: string | null
  joinedAt: string | null
  certificateExpiresAt: string | null
  hypervisor: string | null
  accelerator: string | null
  /** Which program it runs; null: of before versions were told, or it has not reported. */
  version: string | null
  protocol: ProtocolRange | null
  /** Why its connection is refused; null: it is not. */
  refusal: string | null
  total: Room | null
  used: Room & { servers: number }
}

export interface ShownToken {
  url: string
  token: string
  expiresAt: string
  host: string | null
  address: string | null
  isControl: boolean
}

export interface Room {
  vcpus: number
  ramMib: number
  diskGib: number
}

export type HostAnswer =
  | { token: ShownToken }
  | { cloudHosts: ShownHost[] }
  | { host: ShownHost; projects: (Room & { projectId: string; servers: number })[] }
  | { done: string }
  | { hosts: (Omit<HostFindings, "findings"> & { findings: ShownFinding[] })[] }
  | { adopted: { host: string; id: string; name: string; status: string; portsMissing: number } }
  | { discarded: ShownFinding }

export async function answerHost({ platform, hosts }: Cloud, question: unknown): Promise<HostAnswer> {
  const asked = readQuestion(question)
  if (hosts === null) throw new Fault("unsupported", "cli.no_hosts", "This cloud takes no hosts.")
  switch (asked.action) {
    case "token":
      return await makeToken(platform, hosts, asked)
    case "list":
      return { cloudHosts: await listCloudHosts(platform, hosts) }
    case "describe": {
      const host = (await listCloudHosts(platform, hosts)).find(({ name }) => name === asked.host)
      if (!host) throw hostMissing(asked.host)
      return { host, projects: (await selectProjectLoads(platform.db, host.name)).map(projectRoom) }
    }
    case "disable":
      if (!isReason(asked.reason)) {
        const text = `--reason: use one line of at most ${reasonMost} characters.`
        throw new Fault("invalid", "cli.option.invalid", text)
      }
      if (!(await setHostDisabled(platform, asked.host, asked.reason))) throw hostMissing(asked.host)
      return { done: `No new server comes to ${asked.host}; those on it stay.` }
    case "enable":
      if (!(await setHostDisabled(platform, asked.host, null))) throw hostMissing(asked.host)
      return { done: `New servers may come to ${asked.host}.` }
    case "gateway":
      return { done: gatewayWords(await hosts.setGateway(asked.host, asked)) }
    case "remove":
      await hosts.remove(asked.host).catch((error: unknown) => {
        throw hostHasServers.is(error) ? serversFirst(asked.host) : error
      })
      return { done: `${asked.host} is no host of this cloud any more.` }
    case "unknown": {
      const hosts = await listUnknownMachines(platform, asked.host)
      return { hosts: hosts.map((host) => ({ ...host, findings: host.findings.map(shown) })) }
    }
    case "adopt":
      return { adopted: await adopt(platform, asked) }
    case "discard":
      return { discarded: shown(await discardUnknownMachine(platform, asked.id)) }
  }
}

function serversFirst(host: string): Fault {
  const text = `${host} has servers. They go first: ./kumoi host drain ${host}`
  return new Fault("conflict", "cli.host.has_servers", text)
}

/** As the API has it. */
const reasonMost = 255
const isReason = (text: string) => text.length <= reasonMost && !/\p{Cc}/u.test(text)

async function makeToken(
  platform: Platform,
  hosts: CloudHosts,
  asked: Extract<HostQuestion, { action: "token" }>,
): Promise<HostAnswer> {
  if (asked.host !== null && !isHostName(asked.host))
    throw new Fault("invalid", "cli.option.invalid", `--name ${asked.host}: ${hostNameWords}`)
  const address = asked.address === null ? null : addressOfEnd(asked.address)
  if (address === undefined) {
    const text = `--address ${asked.address}: use the IP address at which the other hosts reach the new one.`
    throw new Fault("invalid", "cli.option.invalid", text)
  }
  const { host, lastsMs, isControl } = asked
  if (host !== null && (await isHost(platform, hosts, host))) throw hostNameTaken(host)
  if (isLoopback(hosts.address)) {
    const text =
      `This cloud listens at ${hosts.address}, where no other machine reaches it. ` +
      "Start it with an address that they reach: ./kumoi up --listen ADDRESS"
    throw new Fault("precondition", "cli.not_reachable", text)
  }
  const { url, token, expiresAt } = await hosts.token({ hostName: host, address, lastsMs, isControl })
  if (isControl) await (await import("./control-host/own-membership.ts")).ensureOwnMembership(platform, hosts)
  return { token: { url, token, expiresAt: expiresAt.toISOString(), host, address, isControl } }
}

/** Whether nobody else may join under the name. */
async function isHost(platform: Platform, hosts: CloudHosts, name: string): Promise<boolean> {
  return name === platform.config.host || (await hosts.members()).some((member) => member.name === name)
}

/** Those that report, and those that joined and have not yet. */
async function listCloudHosts(platform: Platform, hosts: CloudHosts): Promise<ShownHost[]> {
  const [facts, members, gateways, mappings] = await Promise.all([
    selectHostFacts(platform, {}),
    hosts.members(),
    hosts.gateways(),
    selectBridgeMappings(platform),
  ])
  const byName = new Map(members.map((member) => [member.name, member]))
  const priorities = new Map(gateways.map(({ host, priority }) => [host, priority]))
  const known = new Set(facts.map(({ host }) => host.name))
  const silent = members.filter(({ name }) => !known.has(name))
  const all = [
    ...facts.map((found) => shownHost(found, byName.get(found.host.name))),
    ...silent.map((member) => shownHost(null, member)),
  ]
  return all
    .map((host) => ({
      ...host,
      gatewayPriority: priorities.get(host.name) ?? null,
      bridgeMappings: mappings.get(host.name) ?? null,
      control: controlState(byName.get(host.name), platform.config.host),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** As the control host that works sees it, which is the one that is asked. */
function controlState(member: JoinedMember | undefined, own: string): ShownHost["control"] {
  if (!member?.isControl) return null
  if (member.name === own) return "works"
  return member.isConnected ? "stands by" : "away"
}

function gatewayWords(gateways: readonly GatewayHost[]): string {
  const best = Math.max(...gateways.map(({ priority }) => priority))
  const named = (isBest: boolean) =>
    gateways.flatMap(({ host, priority }) => ((priority === best) === isBest ? [host] : [])).join(", ")
  const rest = named(false)
  return `Gateways: ${named(true)}${rest === "" ? "" : `; if lost: ${rest}`}.`
}

type JoinedMember = Awaited<ReturnType<CloudHosts["members"]>>[number]

function shownHost(
  facts: HostFacts | null,
  member: JoinedMember | undefined,
): Omit<ShownHost, "gatewayPriority" | "bridgeMappings" | "control"> {
  const host = facts?.host
  const d = host?.description
  const { vcpus = 0, ramMib = 0, diskGib = 0, servers = 0 } = facts?.load ?? {}
  return {
    name: host?.name ?? member?.name ?? "",
    address: member?.address ?? null,
    state: facts === null ? "never seen" : facts.isUp ? "up" : "down",
    isDisabled: host?.isDisabled ?? false,
    disabledReason: host?.disabledReason ?? null,
    zone: facts?.zone ?? null,
    lastSeenAt: host?.lastSeenAt.toISOString() ?? null,
    joinedAt: member?.joinedAt.toISOString() ?? null,
    certificateExpiresAt: member?.certificateExpiresAt.toISOString() ?? null,
    hypervisor: d?.hypervisorType ?? null,
    accelerator: d?.abilities.accelerator ?? null,
    version: d?.program?.version ?? null,
    protocol: d?.program?.protocol ?? null,
    refusal: member?.refusal ?? null,
    total: d ? { vcpus: d.vcpus, ramMib: d.ramMib, diskGib: d.diskGib } : null,
    used: { vcpus, ramMib, diskGib, servers },
  }
}

function projectRoom({ projectId, vcpus, ramMib, diskGib, servers }: HostLoad & { projectId: string }) {
  return { projectId, vcpus, ramMib, diskGib, servers }
}

function shown({ machine: _, ...finding }: Finding): ShownFinding {
  return finding
}

async function adopt(platform: Platform, { id, project }: { id: string; project: string | null }) {
  const hosts = await listUnknownMachines(platform, null)
  const finding = hosts.flatMap(({ findings }) => findings).find((each) => each.id === id)
  const projectId = project ?? finding?.projectId ?? null
  if (projectId !== null && !(await findProject(platform, projectId))) {
    throw new Fault(
      "invalid",
      "cli.project_unknown",
      `There is no project ${projectId}. Say whose the server is to be: --project ID`,
    )
  }
  const userId = internalCaller.userId
  const { host, server, portsMissing } = await adoptMachine(platform, { id, projectId, userId })
  return { host, id: server.id, name: server.name, status: server.vmState, portsMissing }
}

/** How long a token may last. */
const lastsMostMs = 30 * 24 * 3_600_000

function readQuestion(question: unknown): HostQuestion {
  // Looked at below.
  const { action, id, host, address, project, reason, lastsMs, isGateway, priority, isControl } = (question ??
    {}) as Record<string, unknown>
  const textOrNull = (value: unknown) => (typeof value === "string" ? value : null)
  if (action === "unknown") return { action, host: textOrNull(host) }
  if (action === "adopt" && typeof id === "string") return { action, id, project: textOrNull(project) }
  if (action === "discard" && typeof id === "string") return { action, id }
  if (action === "list") return { action }
  if (action === "token" && typeof lastsMs === "number" && lastsMs > 0 && lastsMs <= lastsMostMs)
    return {
      ...{ action, host: textOrNull(host), address: textOrNull(address), lastsMs },
      isControl: isControl === true,
    }
  if (action === "gateway" && typeof host === "string" && typeof isGateway === "boolean")
    return { action, host, isGateway, priority: typeof priority === "number" ? priority : null }
  if (action === "disable" && typeof host === "string")
    return { action, host, reason: textOrNull(reason) ?? "" }
  if ((action === "describe" || action === "enable" || action === "remove") && typeof host === "string")
    return { action, host }
  throw new Fault("invalid", "cli.host_question", "That is no question about hosts.")
}
