// The scheduler: choose by facts, then claim. The claim decides; what was chosen on may be old by then.
import { claimAllocation, noCapacity, type Resources } from "../../placement/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { noValidHost } from "../faults.ts"
import type { FlavorSnapshot, Server } from "../server/server.ts"
import { selectAllHosts, selectCandidates } from "./candidates.ts"
import { type Asked, askedBy, chooseHosts, refusalOf } from "./choose.ts"
import { describeVerdicts, judgeHosts, reasonForUser } from "./explain.ts"
import type { Refusal } from "./filter/filter.ts"
import type { HostState } from "./host-state.ts"
import { type Scheduler, schedulerOf } from "./plugins.ts"
import { type Placing, requestOf, resourcesOf, type ScheduleRequest } from "./request.ts"

export interface Scheduled {
  host: string
  zone: string
  /** Whether builds have failed there since the last one that did not. */
  hasFailedBuilds: boolean
}

export interface ScheduleOptions extends Placing {
  /** Who holds the claim; the server itself when absent. */
  consumerId?: string
}

/** Claims room for the server on the best host. Throws `compute.server.no_valid_host` with the reasons. */
export async function scheduleServer(
  platform: Platform,
  tx: Tx,
  server: Server,
  options: ScheduleOptions,
): Promise<Scheduled> {
  const scheduler = await schedulerOf(platform.config)
  const request = await requestOf(platform, tx, server, options)
  const asked = askedBy(scheduler, request)
  for await (const hosts of candidatePages(platform, tx, scheduler, request, asked)) {
    const chosen = chooseHosts(hosts, request, asked)
    const host = await claimOneOf(tx, chosen, { server, options, request })
    if (host) return { host: host.name, zone: host.zone, hasFailedBuilds: host.failedBuilds > 0 }
  }
  throw await refusedByAll(platform, tx, request, asked)
}

/** Whether the host has so much left; what is claimed later may be less. */
async function hasRoom(platform: Platform, host: string | null, resources: Resources): Promise<boolean> {
  if (host === null) return false
  const page = { resources, order: "any" as const, after: null, limit: 1, needs: new Set<never>() }
  const { hosts } = await selectCandidates(platform, platform.db, { ...page, narrowing: { hosts: [host] } })
  return hosts.length > 0
}

/** Whether the server may stay where it is with another flavor: it has room for both, and what that one asks for. */
export async function fitsWhereItIs(
  platform: Platform,
  server: Server,
  flavor: FlavorSnapshot,
): Promise<boolean> {
  if (!(await hasRoom(platform, server.host, resourcesOf(server, flavor)))) return false
  return (await refusalWhereItIs(platform, server, flavor)) === null
}

/** Why its host cannot give it what flavor and image ask for; of room nothing is said. */
export async function refusalWhereItIs(
  platform: Platform,
  server: Server,
  flavor: FlavorSnapshot,
): Promise<Refusal | null> {
  const scheduler = await schedulerOf(platform.config)
  const placing = { forcedHost: null, excludedHosts: [], flavor }
  const { request, found } = await transact(platform.db, async (tx) => {
    const request = await requestOf(platform, tx, server, placing, { isHeld: false })
    const { needs } = askedBy({ ...scheduler, filters: [], weighers: [] }, request)
    return { request, found: await selectAllHosts(platform, tx, needs, server.host) }
  })
  const asked = askedBy({ ...scheduler, filters: [], weighers: [] }, request)
  return (
    found.map((one) => refusalOf(one, request, asked)?.refusal).find((refusal) => refusal !== undefined) ??
    null
  )
}

/** A further page is there only for when none of those before does; the more of them, the larger. */
const pageGrowth = 4
const pageMost = 10_000

async function* candidatePages(
  platform: Platform,
  tx: Tx,
  { order, options }: Scheduler,
  { resources }: ScheduleRequest,
  { narrowing, needs }: Asked,
): AsyncGenerator<HostState[]> {
  // Any host: from somewhere on to the end, then from the beginning.
  const begins = order === "any" ? [{ grade: 0, id: newUuid() }, null] : [null]
  for (let after of begins) {
    let limit = options.candidatePage
    for (;;) {
      const page = await selectCandidates(platform, tx, { resources, order, after, limit, narrowing, needs })
      yield page.hosts
      if (page.after === null) break
      after = page.after
      limit = Math.min(limit * pageGrowth, pageMost)
    }
  }
}

interface Claiming {
  server: Server
  options: ScheduleOptions
  request: ScheduleRequest
}

/** The first that still has room; undefined when others were faster with all of them. */
async function claimOneOf(
  tx: Tx,
  hosts: readonly HostState[],
  { server, options, request }: Claiming,
): Promise<HostState | undefined> {
  if (hosts.length === 0) return undefined
  try {
    const { hostId } = await claimAllocation(tx, {
      consumerId: options.consumerId ?? server.id,
      projectId: server.projectId,
      userId: server.userId,
      candidates: hosts.map((host) => host.providerId),
      resources: request.resources,
    })
    const host = hosts.find(({ providerId }) => providerId === hostId)
    if (!host) throw new Error(`the claim took ${hostId}, which was not offered`)
    return host
  } catch (error) {
    if (noCapacity.is(error)) return undefined
    throw error
  }
}

/** Users learn what of their request was in the way; operators also which hosts there are, and what is with them. */
async function refusedByAll(
  platform: Platform,
  tx: Tx,
  request: ScheduleRequest,
  asked: Asked,
): Promise<Fault> {
  const verdicts = judgeHosts(await selectAllHosts(platform, tx, asked.needs), request, asked)
  const { kind, code, message } = noValidHost(reasonForUser(verdicts, request))
  const forOperators = describeVerdicts(verdicts)
  return new Fault(kind, code, message, { forOperators, cause: new Error(forOperators) })
}
