// What of the network service has zones, and which those are: one, of the configuration.
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"

export const listAvailabilityZones = operation({
  name: "network.availability_zone.list",
  input: Type.Object({}),
  rule: "get_availability_zone",
  run: async (ctx) =>
    (["network", "router"] as const).map((resource) => ({
      name: ctx.config.network.availabilityZone,
      resource,
      state: "available",
    })),
})
