import { all, count, many, one, text } from "../../api/openstack/shape.ts"
import { type Table, view } from "../../api/openstack/view.ts"
import { exactInteger } from "../../platform/http/exact-integer.ts"
import { queryAll, queryInteger } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { getNetworkAvailability, listNetworkAvailability, type NetworkAvailability } from "../index.ts"
import { textsQuery } from "./describe.ts"

type Amounts = Pick<NetworkAvailability, "totalIps" | "usedIps">
const amounts: Table<Amounts> = {
  total_ips: [count, ({ totalIps }) => exactInteger(totalIps)],
  used_ips: [count, "usedIps"],
}
const ofSubnet = view<NetworkAvailability["subnets"][number]>("SubnetIpAvailability", {
  ...{ subnet_id: [text, "subnetId"], subnet_name: [text, "subnetName"], cidr: [text, "cidr"] },
  ip_version: [count, "ipVersion"],
  ...amounts,
})
const shown = view<NetworkAvailability>("NetworkIpAvailability", {
  ...{ network_id: [text, "networkId"], network_name: [text, "networkName"] },
  ...{ tenant_id: [text, "projectId"], project_id: [text, "projectId"] },
  ...amounts,
  subnet_ip_availability: [
    many(ofSubnet.shows),
    ({ subnets }, ctx, asked) => subnets.map((subnet) => ofSubnet.show(ctx, asked, subnet)),
  ],
})
const query = textsQuery(["network_id", "network_name", "tenant_id", "project_id", "ip_version"])

function filters({ query }: WireRequest) {
  const given = <K extends string>(key: K, ...names: string[]): { [P in K]?: string[] } => {
    const values = names.flatMap((name) => queryAll(query, name))
    return values.length > 0 ? ({ [key]: values } as { [P in K]: string[] }) : {}
  }
  const version = queryInteger(query, "ip_version")
  return {
    ...given("networkIds", "network_id"),
    ...given("networkNames", "network_name"),
    ...given("projectIds", "tenant_id", "project_id"),
    ...(version === 4 || version === 6 ? ({ ipVersion: version } as const) : {}),
  }
}

export const ipAvailabilityRoutes: Route[] = [
  route({
    method: "GET",
    path: "/network-ip-availabilities",
    operation: listNetworkAvailability,
    told: { query, ...all("network_ip_availabilities", shown.shows) },
    handler: async (ctx, req) => ({
      network_ip_availabilities: (await listNetworkAvailability(ctx, filters(req))).map((each) =>
        shown.show(ctx, req, each),
      ),
    }),
  }),
  route({
    method: "GET",
    path: "/network-ip-availabilities/{network_id}",
    operation: getNetworkAvailability,
    told: one("network_ip_availability", shown.shows),
    handler: async (ctx, req) => ({
      network_ip_availability: shown.show(
        ctx,
        req,
        await getNetworkAvailability(ctx, { networkId: req.params.network_id ?? "" }),
      ),
    }),
  }),
]
