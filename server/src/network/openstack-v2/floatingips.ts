import {
  createFloatingIps,
  deleteFloatingIp,
  type FloatingIp,
  getFloatingIp,
  listFloatingIps,
  updateFloatingIp,
} from "../index.ts"
import { type Attributes, standardAttributes } from "./attributes.ts"
import { address, orNull, shown, standardKinds, text, uuid } from "./kinds.ts"
import { dnsName } from "./ports.ts"
import { type Resource, resourceRoutes } from "./resource.ts"

const attributes: Attributes = {
  ...standardAttributes(standardKinds, { description: text() }),
  floating_ip_address: { kind: orNullAddress(), post: true, filter: true, sort: true },
  floating_network_id: { kind: uuid, post: true, required: true, filter: true, sort: true },
  subnet_id: { kind: orNull(uuid), post: true, hidden: true },
  router_id: { kind: uuid, filter: true, sort: true },
  port_id: { kind: orNull(uuid), post: true, put: true, filter: true },
  fixed_ip_address: { kind: orNullAddress(), post: true, put: true, filter: true, sort: true },
  status: { kind: text(), filter: true, sort: true },
  dns_name: { kind: dnsName, post: true },
  dns_domain: { kind: text(), post: true },
  port_details: {
    kind: shown,
    view: ({ portDetails }: FloatingIp) =>
      portDetails && {
        name: portDetails.name,
        network_id: portDetails.networkId,
        mac_address: portDetails.macAddress,
        admin_state_up: portDetails.adminStateUp,
        status: portDetails.status,
        device_id: portDetails.deviceId,
        device_owner: portDetails.deviceOwner,
      },
  },
}

function orNullAddress() {
  return orNull(address)
}

function orDisassociated(changes: object): object {
  return Object.keys(changes).length === 0 ? { portId: null } : changes
}

export const floatingIps: Resource<FloatingIp> = {
  singular: "floatingip",
  plural: "floatingips",
  path: "/floatingips",
  operations: {
    get: getFloatingIp,
    create: createFloatingIps,
    update: updateFloatingIp,
    remove: deleteFloatingIp,
  },
  attributes,
  list: listFloatingIps,
  get: (ctx, floatingIpId) => getFloatingIp(ctx, { floatingIpId }),
  create: (ctx, inputs) => createFloatingIps(ctx, { floatingIps: inputs }),
  update: (ctx, floatingIpId, changes, expected) =>
    // An update of nothing takes the address off its port, as clients of Neutron have used it for long.
    updateFloatingIp(ctx, { floatingIpId, changes: orDisassociated(changes), ...expected }),
  remove: (ctx, floatingIpId, expected) => deleteFloatingIp(ctx, { floatingIpId, ...expected }),
}

export const floatingIpRoutes = resourceRoutes(floatingIps)
