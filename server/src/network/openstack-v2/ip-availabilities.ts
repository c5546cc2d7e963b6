import { exactInteger } from "../../platform/http/exact-integer.ts"
import { queryAll, queryInteger } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { getNetworkAvailability, listNetworkAvailability, type NetworkAvailability } from "../index.ts"
import { textsQuery } from "./describe.ts"

function view(network: NetworkAvailability) {
  return {
    network_id: network.networkId,
    network_name: network.networkName,
    tenant_id: network.projectId,
    project_id: network.projectId,
    total_ips: exactInteger(network.totalIps),
    used_ips: network.usedIps,
    subnet_ip_availability: network.subnets.map((subnet) => ({
      subnet_id: subnet.subnetId,
      subnet_name: subnet.subnetName,
      cidr: subnet.cidr,
      ip_version: subnet.ipVersion,
      total_ips: exactInteger(subnet.totalIps),
      used_ips: subnet.usedIps,
    })),
  }
}

interface Filters {
  networkIds?: string[]
  networkNames?: string[]
  projectIds?: string[]
  ipVersion?: 4 | 6
}

function filters({ query }: WireRequest): Filters {
  const found: Filters = {}
  const ids = queryAll(query, "network_id")
  const names = queryAll(query, "network_name")
  const projects = [...queryAll(query, "tenant_id"), ...queryAll(query, "project_id")]
  const version = queryInteger(query, "ip_version")
  if (ids.length > 0) found.networkIds = ids
  if (names.length > 0) found.networkNames = names
  if (projects.length > 0) found.projectIds = projects
  if (version === 4 || version === 6) found.ipVersion = version
  return found
}

export const ipAvailabilityRoutes: Route[] = [
  route({
    method: "GET",
    path: "/network-ip-availabilities",
    operation: listNetworkAvailability,
    told: { query: textsQuery(["network_id", "network_name", "tenant_id", "project_id", "ip_version"]) },
    handler: async (ctx, req) => ({
      network_ip_availabilities: (await listNetworkAvailability(ctx, filters(req))).map(view),
    }),
  }),
  route({
    method: "GET",
    path: "/network-ip-availabilities/{network_id}",
    operation: getNetworkAvailability,
    handler: async (ctx, req) => ({
      network_ip_availability: view(
        await getNetworkAvailability(ctx, { networkId: req.params.network_id ?? "" }),
      ),
    }),
  }),
]
