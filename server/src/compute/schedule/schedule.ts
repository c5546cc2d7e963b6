// The scheduler: choose by facts, then claim. The claim decides; what was chosen on may be old by then.
import { sql } from "kysely"
import { claimAllocation, noCapacity, type Resources, usedOfHost } from "../../placement/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { zoneOfHost } from "../aggregate/store.ts"
import { noValidHost } from "../faults.ts"
import { type Host, hostSilentMs, isHostUp, zoneOf } from "../host/host.ts"
import type { FlavorSnapshot, Server } from "../server/server.ts"
import {
  type Choice,
  chooseHosts,
  describeRefusals,
  explainRefusals,
  type HostFacts,
  type ScheduleRequest,
} from "./choose.ts"
import { groupRequestOf } from "./group.ts"

export function resourcesOf(flavor: FlavorSnapshot): Resources {
  return {
    VCPU: flavor.vcpus,
    MEMORY_MB: flavor.ramMib,
    DISK_GB: flavor.diskGib + flavor.ephemeralGib + Math.ceil(flavor.swapMib / 1024),
  }
}

export interface Scheduled {
  host: string
  zone: string
}

export interface ScheduleOptions {
  forcedHost: string | null
  excludedHosts: readonly string[]
  /** Who holds the claim; the server itself when absent. */
  consumerId?: string
  flavor?: FlavorSnapshot
}

/** Claims room for the server on the best host. Throws `compute.server.no_valid_host` with the reasons. */
export async function scheduleServer(
  platform: Platform,
  tx: Tx,
  server: Server,
  options: ScheduleOptions,
): Promise<Scheduled> {
  const facts = await selectHostFacts(platform, tx)
  const request: ScheduleRequest = {
    zone: server.pinnedAvailabilityZone,
    forcedHost: options.forcedHost,
    excludedHosts: options.excludedHosts,
    sameHosts: await hostsOfServers(tx, server, server.schedulerHints.same_host),
    differentHosts: (await hostsOfServers(tx, server, server.schedulerHints.different_host)) ?? [],
    group: await groupRequestOf(tx, server),
  }
  const choice = chooseHosts(facts, request)
  if (choice.hosts.length === 0) throw refusedByAll(choice)
  const resources = resourcesOf(options.flavor ?? server.flavor)
  try {
    const claimed = await claimAllocation(tx, {
      consumerId: options.consumerId ?? server.id,
      projectId: server.projectId,
      userId: server.userId,
      candidates: choice.hosts.map((host) => host.providerId),
      resources,
    })
    const host = choice.hosts.find((h) => h.providerId === claimed.hostId)
    if (!host) throw new Error(`the claim took ${claimed.hostId}, which was not offered`)
    return { host: host.name, zone: host.zone }
  } catch (error) {
    if (noCapacity.is(error)) throw noValidHost(`There are not enough hosts available. ${error.message}`)
    throw error
  }
}

/** Users learn what of their request was in the way; the log also which hosts there are, and what is with them. */
function refusedByAll({ refused }: Choice): Fault {
  const { kind, code, message } = noValidHost(explainRefusals(refused))
  return new Fault(kind, code, message, { cause: new Error(describeRefusals(refused)) })
}

interface HostFactsRow extends Pick<Host, "silentMs" | "isForcedDown" | "isDisabled" | "ownZone"> {
  name: string
  providerId: string
  ramMib: number
  ramUsedMib: number
}

/** One statement, as it is in the path of every creation; what is used, placement has added up already. */
async function selectHostFacts(platform: Platform, tx: Tx): Promise<HostFacts[]> {
  const { rows } = await sql<HostFactsRow>`
    select h.name, h.id as "providerId", ${hostSilentMs} as "silentMs", h.is_disabled as "isDisabled",
      h.is_forced_down as "isForcedDown", (h.description->>'ramMib')::bigint as "ramMib",
      ${zoneOfHost(sql`h.name`)} as "ownZone",
      coalesce(${usedOfHost(sql`h.id`, "MEMORY_MB")}, 0) as "ramUsedMib"
    from compute.host h order by h.number`.execute(tx)
  const { serviceDownAfterMs } = platform.config.compute
  return rows.map(({ silentMs, isForcedDown, ownZone, ...facts }) => ({
    ...facts,
    isUp: isHostUp({ silentMs, isForcedDown }, serviceDownAfterMs),
    zone: zoneOf(platform, { ownZone }),
  }))
}

/** Another project's servers are as if they were not there: nobody learns or chooses where those are. */
async function hostsOfServers(tx: Tx, { projectId }: Server, hint: unknown): Promise<string[] | null> {
  const ids = [hint ?? []].flat().filter((id): id is string => typeof id === "string")
  if (ids.length === 0) return null
  const found = await sql<{ host: string }>`
    select distinct host from compute.server
    where id = any(${ids.filter(isUuid)}::uuid[]) and project_id = ${projectId}
      and deleted_at is null and host is not null`.execute(tx)
  return found.rows.map((row) => row.host)
}
