// Nova's old way to networks, until 2.35: those of the network service, by id and name. What nova-network knew
// besides is null.

import { all, each, nothing, one, rare, type Shape, shape, text } from "../../api/openstack/shape.ts"
import { listNetworks, type Network } from "../../network/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { isAdmin } from "../index.ts"

const last = "2.35"

const emptyFields = ["cidr", "netmask", "gateway", "broadcast", "dns1", "dns2"].concat([
  "cidr_v6",
  "gateway_v6",
  "netmask_v6",
])

const emptyFieldsOfAdmins = [
  ...["created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan"],
  ...["vpn_public_address", "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host"],
  ...["bridge_interface", "multi_host", "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp"],
  "share_address",
]

function viewNetwork(ctx: Ctx, network: Network) {
  const empty = isAdmin(ctx) ? [...emptyFields, ...emptyFieldsOfAdmins] : emptyFields
  return {
    ...Object.fromEntries(empty.map((field) => [field, null])),
    id: network.id,
    label: network.name,
  }
}

const shownNetwork = shape("OldNetwork", {
  ...{ id: text, label: text },
  ...each(emptyFields.join(" "), nothing),
  ...each(emptyFieldsOfAdmins.join(" "), rare(nothing)),
})
const tenantNetwork = shape("TenantNetwork", { id: text, cidr: text, label: text })

/** "None" is what Nova writes. */
const viewTenantNetwork = (network: Network) => ({ id: network.id, cidr: "None", label: network.name })

async function find(ctx: Ctx, req: WireRequest): Promise<Network> {
  const id = req.params.network_id ?? ""
  const [network] = isUuid(id) ? (await listNetworks(ctx, { filters: { id: [id] } })).items : []
  if (!network) throw new Fault("not_found", "network.network.not_found", "Network not found")
  return network
}

function networkRoutes(path: string, shown: Shape, view: (ctx: Ctx, network: Network) => object): Route[] {
  return [
    route({
      method: "GET",
      path,
      max: last,
      operation: listNetworks,
      told: all("networks", shown),
      handler: async (ctx) => ({
        networks: (await listNetworks(ctx, {})).items.map((network) => view(ctx, network)),
      }),
    }),
    route({
      method: "GET",
      path: `${path}/{network_id}`,
      max: last,
      operation: listNetworks,
      told: one("network", shown),
      handler: async (ctx, req) => ({ network: view(ctx, await find(ctx, req)) }),
    }),
  ]
}

export const oldNetworkRoutes: readonly Route[] = [
  ...networkRoutes("/os-networks", shownNetwork, viewNetwork),
  ...networkRoutes("/os-tenant-networks", tenantNetwork, (_ctx, network) => viewTenantNetwork(network)),
]
