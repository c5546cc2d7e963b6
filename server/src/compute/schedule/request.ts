// What is asked of the host of a server: all that filters and weighers may look at.
import { sql } from "kysely"
import type { HostDescription } from "../../agent/protocol.ts"
import type { Reach } from "../../block-storage/index.ts"
import { physicalNetworksOfServer } from "../../network/index.ts"
import type { Resources } from "../../placement/index.ts"
import { allOrFirst } from "../../platform/clock/in-parallel.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { type Hardware, keptHardware } from "../guest-hardware/hardware.ts"
import { reachOfVolumes } from "../server/block-device.ts"
import { keptImage } from "../server/image.ts"
import { type FlavorSnapshot, isVolumeBacked, type Server } from "../server/server.ts"
import type { GroupPlacement } from "../server-group/server-group.ts"
import { selectGroupPlacement } from "../server-group/store.ts"

export interface ScheduleRequest {
  projectId: string
  resources: Resources
  flavor: Pick<FlavorSnapshot, "name" | "extraSpecs">
  image: { id: string; properties: Readonly<Record<string, string>> } | null
  zone: string | null
  /** Only this host, asked for by an administrator (`zone:host`). */
  forcedHost: string | null
  /** Only this host as well, if nothing speaks against it. */
  requestedHost: string | null
  /** Where it was tried already. */
  excludedHosts: readonly string[]
  /** The hints, as they were sent. */
  hints: Readonly<Record<string, unknown>>
  /** Hosts of the servers that the hints name. */
  sameHosts: readonly string[] | null
  differentHosts: readonly string[]
  group: GroupPlacement | null
  /** That the host must reach. */
  physicalNetworks: readonly string[]
  /** The host that its guest runs on, to go on elsewhere; null: it starts there. */
  runsOn: HostDescription | null
  /** Where its volumes lie, or what they are made from, and where they can be. */
  volumeHosts: readonly Reach[]
  /** What the host is to give its guest beyond the ordinary. */
  hardware: Hardware
}

export interface Placing {
  forcedHost: string | null
  excludedHosts: readonly string[]
  flavor?: FlavorSnapshot
  runsOn?: HostDescription | null
  requestedHost?: string | null
  /** It leaves this host, which is down: its volumes are not waited for there. */
  lostHost?: string | null
}

/**
 * The server's group is held until the transaction ends, so that its servers choose one after the other; one that only
 * asks what would be (`isHeld: false`) does not hold up others.
 */
export async function requestOf(
  platform: Platform,
  tx: Tx,
  server: Server,
  placing: Placing,
  { isHeld } = { isHeld: true },
): Promise<ScheduleRequest> {
  const { schedulerHints: hints, serverGroupId } = server
  const flavor = placing.flavor ?? server.flavor
  const image = keptImage(server.systemMetadata)
  const [sameHosts, differentHosts, group, physicalNetworks, volumeHosts] = await allOrFirst(
    hostsOfServers(tx, server, hints.same_host),
    hostsOfServers(tx, server, hints.different_host),
    serverGroupId === null ? null : selectGroupPlacement(tx, serverGroupId, server.id, { isHeld }),
    physicalNetworksOf(tx, server),
    server.hasVolumes ? reachOfVolumes(platform, tx, server, placing.lostHost) : [],
  )
  return {
    hardware: keptHardware(flavor, image),
    projectId: server.projectId,
    resources: resourcesOf(server, flavor),
    flavor,
    image: image && { id: image.id, properties: image.properties },
    zone: server.pinnedAvailabilityZone,
    forcedHost: placing.forcedHost,
    excludedHosts: placing.excludedHosts,
    hints,
    sameHosts,
    differentHosts: differentHosts ?? [],
    group,
    physicalNetworks,
    requestedHost: placing.requestedHost ?? null,
    runsOn: placing.runsOn ?? null,
    volumeHosts,
  }
}

/** Before its first start, as its ports were planned. */
async function physicalNetworksOf(tx: Tx, server: Server): Promise<readonly string[]> {
  const { launchedAt, requestedNetworks: planned } = server
  if (launchedAt !== null) return await physicalNetworksOfServer(tx, server.id)
  const isPlan = planned !== null && typeof planned === "object" && "interfaces" in planned
  return (isPlan && planned.physicalNetworks) || []
}

/**
 * The volume from which a server boots is none of the host's room. What the flavor says of a resource class goes before
 * its sizes.
 */
export function resourcesOf(
  server: Pick<Server, "imageId" | "hasVolumes" | "systemMetadata">,
  flavor: FlavorSnapshot,
): Resources {
  const diskGib = isVolumeBacked(server) ? 0 : flavor.diskGib
  const { resources, moreResources } = keptHardware(flavor, keptImage(server.systemMetadata))
  const all: Record<string, number> = {
    MEMORY_MB: flavor.ramMib,
    DISK_GB: diskGib + flavor.ephemeralGib + Math.ceil(flavor.swapMib / 1024),
    ...resources,
  }
  for (const [name, amount] of Object.entries(moreResources)) all[name] = (all[name] ?? 0) + amount
  return all
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

const forcedHostKey = "forced_host"

/** As system metadata of the server: only its creation knows it otherwise. */
export function keptForcedHost(host: string | null): Record<string, string> {
  return host === null ? {} : { [forcedHostKey]: host }
}

/** It was asked for the server's first place only. */
export function forcedHostOf({ launchedAt, systemMetadata }: Server): string | null {
  return launchedAt === null ? (systemMetadata[forcedHostKey] ?? null) : null
}
