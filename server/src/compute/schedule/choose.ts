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
  servers: number
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

export interface Choice {
  /** Best first. */
  hosts: HostFacts[]
  /** Host → why it was left out. */
  refused: Map<string, string>
}

export function chooseHosts(hosts: readonly HostFacts[], request: ScheduleRequest): Choice {
  const refused = new Map<string, string>()
  const passed = hosts.filter((host) => {
    const why = refusal(host, request)
    if (why) refused.set(host.name, why)
    return !why
  })
  return { hosts: passed.sort((a, b) => weightOf(b, request) - weightOf(a, request)), refused }
}

function refusal(host: HostFacts, request: ScheduleRequest): string | undefined {
  if (request.excludedHosts.includes(host.name)) return "it was tried already"
  if (request.forcedHost !== null)
    return host.name === request.forcedHost ? undefined : "it is not the host asked for"
  if (!host.isUp) return "it is down"
  if (host.isDisabled) return "it is disabled"
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

/** One sentence for the fault of the server. */
export function explainRefusals(refused: ReadonlyMap<string, string>): string {
  if (refused.size === 0) return "There are not enough hosts available: no host has reported yet."
  const reasons = [...refused].slice(0, 5).map(([host, why]) => `${host}: ${why}`)
  return `There are not enough hosts available (${reasons.join("; ")}).`
}
