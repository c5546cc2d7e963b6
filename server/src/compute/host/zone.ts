// The availability zone of each host: that of an aggregate it is in, or the default one.
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"

/** Host → zone, only for hosts whose aggregate has one. */
export async function selectHostZones(_db: DbOrTx): Promise<Map<string, string>> {
  return new Map()
}

export function zoneOfHost(platform: Platform, zones: ReadonlyMap<string, string>, host: string): string {
  return zones.get(host) ?? platform.config.compute.defaultAvailabilityZone
}
