// The availability zone of each host: that of an aggregate it is in, or the default one.
import type { Platform } from "../../platform/context/context.ts"

export { zoneOfHosts as selectHostZones } from "../aggregate/store.ts"

export function zoneOfHost(platform: Platform, zones: ReadonlyMap<string, string>, host: string): string {
  return zones.get(host) ?? platform.config.compute.defaultAvailabilityZone
}
