import {
  createNetworks,
  deleteNetwork,
  getNetwork,
  hiddenNetworkAttributes,
  listNetworks,
  networkNoun,
  updateNetwork,
} from "../index.ts"
import { listOf, nullIsAbsent, text } from "./kinds.ts"
import { resource, resourceRoutes } from "./resource.ts"

export const zones = listOf(text()).schema

export const networks = resource({
  noun: networkNoun,
  singular: "network",
  particulars: {
    "provider:network_type": { kind: nullIsAbsent(text(32)) },
    availability_zones: { shows: zones, view: (_network, ctx) => [ctx.config.network.availabilityZone] },
    l2_adjacency: { shows: { type: "boolean" }, view: () => true },
  },
  hidden: hiddenNetworkAttributes,
  list: listNetworks,
  get: getNetwork,
  create: createNetworks,
  update: updateNetwork,
  remove: deleteNetwork,
})

export const networkRoutes = resourceRoutes(networks)
