import type { Ctx } from "../../platform/context/context.ts"
import {
  createNetworks,
  deleteNetwork,
  getNetwork,
  hiddenNetworkAttributes,
  listNetworks,
  type Network,
  updateNetwork,
} from "../index.ts"
import { type Attributes, standardAttributes } from "./attributes.ts"
import {
  boolean,
  integer,
  listOf,
  nonNegative,
  nullIsAbsent,
  orNull,
  shown,
  standardKinds,
  text,
} from "./kinds.ts"
import { type Resource, resourceRoutes } from "./resource.ts"

const attributes: Attributes = {
  ...standardAttributes(standardKinds, { description: text() }),
  name: { kind: text(), post: true, put: true, filter: true, sort: true },
  admin_state_up: { kind: boolean, post: true, put: true, filter: true, sort: true },
  status: { kind: text(), filter: true, sort: true },
  subnets: { kind: shown },
  shared: { kind: boolean, post: true, put: true, filter: true },
  "router:external": { kind: boolean, post: true, put: true, filter: true },
  mtu: { kind: nonNegative, post: true, put: true, filter: true, sort: true },
  "provider:network_type": { kind: nullIsAbsent(text(32)), post: true, put: true, filter: true },
  "provider:physical_network": { kind: orNull(text(64)), post: true, put: true, filter: true },
  "provider:segmentation_id": { kind: orNull(integer), post: true, put: true, filter: true },
  port_security_enabled: { kind: boolean, post: true, put: true },
  is_default: { kind: boolean, post: true, put: true, filter: true },
  dns_domain: { kind: text(), post: true, put: true },
  availability_zone_hints: { kind: listOf(text()), post: true },
  availability_zones: {
    kind: shown,
    view: (_network: Network, ctx: Ctx) => [ctx.config.network.availabilityZone],
  },
  ipv4_address_scope: { kind: shown },
  ipv6_address_scope: { kind: shown },
  l2_adjacency: { kind: shown, view: () => true },
}

export const networks: Resource<Network> = {
  singular: "network",
  plural: "networks",
  path: "/networks",
  operations: { get: getNetwork, create: createNetworks, update: updateNetwork, remove: deleteNetwork },
  attributes,
  filters: { subnets: (values) => ({ subnetId: values }) },
  hidden: hiddenNetworkAttributes,
  list: listNetworks,
  get: (ctx, networkId) => getNetwork(ctx, { networkId }),
  create: (ctx, inputs) => createNetworks(ctx, { networks: inputs }),
  update: (ctx, networkId, changes, expected) => updateNetwork(ctx, { networkId, changes, ...expected }),
  remove: (ctx, networkId, expected) => deleteNetwork(ctx, { networkId, ...expected }),
}

export const networkRoutes = resourceRoutes(networks)
