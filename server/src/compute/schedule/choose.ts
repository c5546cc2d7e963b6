// Which hosts a server may go to, and in which order they are tried. Pure: facts in, an explained choice out.
export interface HostFacts {
  name: string
  /** Resource provider. */
  providerId: string
  isUp: boolean
  isDisabled: boolean
  zone: string
  ramMib: number
  ramUsedMib: number
}

export interface ScheduleRequest {
  zone: string | null
  /** Only this host, asked for by an administrator (`zone:host`). */
  forcedHost: string | null
  excludedHosts: readonly string[]
  /** Hosts of the servers that the hints name. */
  sameHosts: readonly string[] | null
  differentHosts: readonly string[]
  group: {
    policy: "affinity" | "anti-affinity" | "soft-affinity" | "soft-anti-affinity"
    /** Host → members of the group on it. */
    members: ReadonlyMap<string, number>
    maxPerHost: number
  } | null
}

export interface Refusal {
  why: string
  /** The request itself left the host out, so that whoever sent it may know. */
  isByRequest: boolean
}

export interface Choice {
  /** Best first. */
  hosts: HostFacts[]
  /** Host → why it was left out. */
  refused: Map<string, Refusal>
}

/** Hosts whose free share differs by less are as good as each other: they are taken at random, not all the same one. */
const likeness = 0.05

export function chooseHosts(
  hosts: readonly HostFacts[],
  request: ScheduleRequest,
  random: () => number = Math.random,
): Choice {
  const refused = new Map<string, Refusal>()
  const passed = hosts.filter((host) => {
    const why = refusal(host, request)
    if (why) refused.set(host.name, why)
    return !why
  })
  const weighed = passed.map((host) => ({
    host,
    weight: Math.floor(weightOf(host, request) / likeness),
    lot: random(),
  }))
  weighed.sort((a, b) => b.weight - a.weight || a.lot - b.lot)
  return { hosts: weighed.map((each) => each.host), refused }
}

function refusal(host: HostFacts, request: ScheduleRequest): Refusal | undefined {
  const why = refusalByCloud(host, request)
  if (why) return { why, isByRequest: false }
  // An administrator's own choice of a host counts more than the rest of the request.
  const own = request.forcedHost === null ? refusalByRequest(host, request) : undefined
  return own === undefined ? undefined : { why: own, isByRequest: true }
}

function refusalByCloud(host: HostFacts, request: ScheduleRequest): string | undefined {
  if (request.excludedHosts.includes(host.name)) return "it was tried already"
  if (request.forcedHost !== null)
    return host.name === request.forcedHost ? undefined : "it is not the host asked for"
  if (!host.isUp) return "it is down"
  return host.isDisabled ? "it is disabled" : undefined
}

function refusalByRequest(host: HostFacts, request: ScheduleRequest): string | undefined {
  if (request.zone !== null && host.zone !== request.zone) return `it is not in zone ${request.zone}`
  if (request.sameHosts && !request.sameHosts.includes(host.name)) return "same_host names another host"
  if (request.differentHosts.includes(host.name)) return "different_host names a server on it"
  return groupRefusal(host, request.group)
}

function groupRefusal(host: HostFacts, group: ScheduleRequest["group"]): string | undefined {
  if (!group) return undefined
  const here = group.members.get(host.name) ?? 0
  if (group.policy === "affinity" && group.members.size > 0 && here === 0)
    return "the server group wants all its servers on another host"
  if (group.policy === "anti-affinity" && here >= group.maxPerHost)
    return "the server group wants its servers on different hosts"
  return undefined
}

/** Free memory counts most, as with Nova's default weighers; soft policies come before it. */
function weightOf(host: HostFacts, request: ScheduleRequest): number {
  const free = (host.ramMib - host.ramUsedMib) / Math.max(host.ramMib, 1)
  const here = request.group?.members.get(host.name) ?? 0
  if (request.group?.policy === "soft-affinity") return here * 10 + free
  if (request.group?.policy === "soft-anti-affinity") return -here * 10 + free
  return free
}

/** For the fault of the server, which its user reads: what the request asked for, and nothing of the hosts. */
export function explainRefusals(refused: ReadonlyMap<string, Refusal>): string {
  const own = [...refused.values()].filter((r) => r.isByRequest).map((r) => r.why)
  const reasons = [...new Set(own)].join("; ")
  return `There are not enough hosts available${reasons ? ` (left out by the request: ${reasons})` : ""}.`
}

const hostsToldMost = 50

/** For the log: host by host. */
export function describeRefusals(refused: ReadonlyMap<string, Refusal>): string {
  if (refused.size === 0) return "no host has reported yet"
  const reasons = [...refused].slice(0, hostsToldMost).map(([host, { why }]) => `${host}: ${why}`)
  return reasons.join("; ")
}
