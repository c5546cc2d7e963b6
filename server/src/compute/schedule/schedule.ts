// The scheduler: choose by facts, then claim. The claim decides; what was chosen on may be old by then.
import { sql } from "kysely"
import { claimAllocation, noCapacity, type Resources } from "../../placement/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { noValidHost } from "../faults.ts"
import { isHostUp } from "../host/host.ts"
import { selectHostLoads, selectHosts } from "../host/store.ts"
import { selectHostZones, zoneOfHost } from "../host/zone.ts"
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
    sameHosts: await hostsOfServers(tx, server.schedulerHints.same_host),
    differentHosts: (await hostsOfServers(tx, server.schedulerHints.different_host)) ?? [],
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

export async function selectHostFacts(platform: Platform, tx: Tx): Promise<HostFacts[]> {
  const [hosts, loads, zones] = [await selectHosts(tx), await selectHostLoads(tx), await selectHostZones(tx)]
  const now = platform.clock.now()
  return hosts.map((host) => ({
    name: host.name,
    providerId: host.id,
    isUp: isHostUp(host, now, platform.config.compute.serviceDownAfterMs),
    isDisabled: host.isDisabled,
    zone: zoneOfHost(platform, zones, host.name),
    ramMib: host.description.ramMib,
    ramUsedMib: loads.get(host.name)?.ramMib ?? 0,
    servers: loads.get(host.name)?.servers ?? 0,
  }))
}

async function hostsOfServers(tx: Tx, hint: unknown): Promise<string[] | null> {
  const ids = (Array.isArray(hint) ? hint : hint === undefined ? [] : [hint]).filter(
    (id) => typeof id === "string",
  )
  if (ids.length === 0) return null
  const found = await sql<{ host: string }>`
    select distinct host from compute.server
    where id = any(${ids}::uuid[]) and deleted_at is null and host is not null`.execute(tx)
  return found.rows.map((row) => row.host)
}
