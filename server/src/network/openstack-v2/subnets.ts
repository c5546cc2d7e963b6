import { createSubnets, deleteSubnet, getSubnet, listSubnets, type Subnet, updateSubnet } from "../index.ts"
import { type Attributes, standardAttributes } from "./attributes.ts"
import {
  address,
  boolean,
  integer,
  ipVersion,
  type Kind,
  listOf,
  nullIsAbsent,
  objectOf,
  oneOf,
  orNull,
  prefix,
  shown,
  standardKinds,
  text,
  uuid,
} from "./kinds.ts"
import { type Resource, resourceRoutes } from "./resource.ts"

export const routeList: Kind = listOf(
  objectOf({
    destination: { kind: prefix, key: "destination", required: true },
    nexthop: { kind: address, key: "nexthop", required: true },
  }),
)

const pools: Kind = listOf(
  objectOf({
    start: { kind: text(), key: "start", required: true },
    end: { kind: text(), key: "end", required: true },
  }),
)

const mode = nullIsAbsent(oneOf(["dhcpv6-stateful", "dhcpv6-stateless", "slaac"]))

const attributes: Attributes = {
  ...standardAttributes(standardKinds, { description: text() }),
  name: { kind: text(), post: true, put: true, filter: true, sort: true },
  network_id: { kind: uuid, post: true, required: true, filter: true, sort: true },
  ip_version: { kind: ipVersion, post: true, filter: true, sort: true },
  cidr: { kind: orNull(text()), post: true, filter: true, sort: true },
  prefixlen: { kind: integer, post: true, hidden: true },
  subnetpool_id: { kind: orNull(text()), post: true, filter: true, sort: true },
  use_default_subnetpool: { kind: boolean, post: true, hidden: true },
  gateway_ip: { kind: orNull(address), post: true, put: true, filter: true, sort: true },
  allocation_pools: { kind: pools, post: true, put: true },
  dns_nameservers: { kind: listOf(address), post: true, put: true },
  host_routes: { kind: routeList, post: true, put: true },
  enable_dhcp: { kind: boolean, post: true, put: true, filter: true, sort: true },
  ipv6_ra_mode: { kind: mode, post: true, filter: true, sort: true },
  ipv6_address_mode: { kind: mode, post: true, filter: true, sort: true },
  // The rules of this attribute exist, and Neutron asks none of them.
  service_types: { kind: listOf(text()), post: true, put: true },
  dns_publish_fixed_ip: { kind: boolean, post: true, put: true },
  segment_id: { kind: shown, view: () => null },
  shared: { kind: boolean, hidden: true, filter: true },
  "router:external": { kind: boolean, key: "routerExternal", filter: true },
}

export const subnets: Resource<Subnet> = {
  singular: "subnet",
  plural: "subnets",
  path: "/subnets",
  operations: { get: getSubnet, create: createSubnets, update: updateSubnet, remove: deleteSubnet },
  attributes,
  list: listSubnets,
  get: (ctx, subnetId) => getSubnet(ctx, { subnetId }),
  create: (ctx, inputs) => createSubnets(ctx, { subnets: inputs }),
  update: (ctx, subnetId, changes, expected) => updateSubnet(ctx, { subnetId, changes, ...expected }),
  remove: (ctx, subnetId, expected) => deleteSubnet(ctx, { subnetId, ...expected }),
}

export const subnetRoutes = resourceRoutes(subnets)
