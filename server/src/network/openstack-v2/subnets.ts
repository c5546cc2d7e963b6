import { createSubnets, deleteSubnet, getSubnet, listSubnets, subnetNoun, updateSubnet } from "../index.ts"
import { address, type Kind, listOf, nullIsAbsent, objectOf, oneOf, orNull, prefix, text } from "./kinds.ts"
import { resource, resourceRoutes } from "./resource.ts"

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

export const subnets = resource({
  noun: subnetNoun,
  singular: "subnet",
  particulars: {
    subnetpool_id: { kind: orNull(text()) },
    allocation_pools: { kind: pools },
    dns_nameservers: { kind: listOf(address) },
    host_routes: { kind: routeList },
    ipv6_ra_mode: { kind: mode },
    ipv6_address_mode: { kind: mode },
    segment_id: { shows: { type: "null" }, view: () => null },
  },
  list: listSubnets,
  get: getSubnet,
  create: createSubnets,
  update: updateSubnet,
  remove: deleteSubnet,
})

export const subnetRoutes = resourceRoutes(subnets)
