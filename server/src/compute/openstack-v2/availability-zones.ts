import { type TSchema, Type } from "typebox"
import { all, flag, nothing, shape, text } from "../../api/openstack/shape.ts"
import { microsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Route, route } from "../../platform/http/wire.ts"
import { mapOf } from "../../platform/schema/make.ts"
import { listHostsOfZones, listServicesOfZones } from "../index.ts"

const zone = { zoneName: text, zoneState: Type.Object({ available: flag }) }
const zonesOf = (title: string, hosts: TSchema) =>
  all("availabilityZoneInfo", shape(title, { ...zone, hosts }))
const service = Type.Object({ available: flag, active: flag, updated_at: text })

/** Names, and which of them have a host that takes servers. */
async function zones(ctx: Ctx) {
  const byZone = Map.groupBy(await listHostsOfZones(ctx, {}), (facts) => facts.zone)
  const views = [...byZone].sort().map(([zoneName, hosts]) => ({
    zoneName,
    zoneState: { available: hosts.some(({ host }) => !host.isDisabled) },
    hosts: null,
  }))
  return { availabilityZoneInfo: views }
}

/** With the services of each host, and the zone of those that work for all hosts. */
async function zonesInDetail(ctx: Ctx) {
  const byZone = Map.groupBy(await listServicesOfZones(ctx, {}), (service) => service.zone)
  const views = [...byZone].sort().map(([zoneName, services]) => ({
    zoneName,
    zoneState: { available: services.some((service) => !service.isDisabled) },
    hosts: Object.fromEntries(
      [...Map.groupBy(services, (service) => service.host)].map(([host, there]) => [
        host,
        Object.fromEntries(
          there.map(({ binary, isUp, isDisabled, lastSeenAt }) => [
            binary,
            { available: isUp, active: !isDisabled, updated_at: microsText(lastSeenAt) },
          ]),
        ),
      ]),
    ),
  }))
  return { availabilityZoneInfo: views }
}

export const zoneRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-availability-zone",
    operation: listHostsOfZones,
    told: zonesOf("Zone", nothing),
    handler: zones,
  }),
  route({
    method: "GET",
    path: "/os-availability-zone/detail",
    operation: listServicesOfZones,
    told: zonesOf("ZoneInDetail", mapOf(mapOf(service))),
    handler: zonesInDetail,
  }),
]
