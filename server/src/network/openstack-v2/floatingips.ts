import {
  createFloatingIps,
  deleteFloatingIp,
  floatingIpNoun,
  getFloatingIp,
  listFloatingIps,
  updateFloatingIp,
} from "../index.ts"
import { address, mac, nullIsAbsent, orNull, uuid, withNull } from "./kinds.ts"
import { dnsName } from "./ports.ts"
import { resource, resourceRoutes } from "./resource.ts"

const portDetailsShown = {
  type: "object",
  properties: {
    name: { type: "string" },
    network_id: uuid.schema,
    mac_address: mac.schema,
    admin_state_up: { type: "boolean" },
    status: { type: "string" },
    device_id: { type: "string" },
    device_owner: { type: "string" },
  },
}

const forwardingShown = {
  type: "object",
  properties: {
    id: uuid.schema,
    protocol: { type: "string" },
    internal_port: { type: "integer" },
    external_port: { type: "integer" },
    internal_ip_address: address.schema,
    internal_port_id: uuid.schema,
  },
}

export const floatingIps = resource({
  noun: floatingIpNoun,
  singular: "floatingip",
  particulars: {
    floating_ip_address: { kind: nullIsAbsent(address) },
    subnet_id: { kind: orNull(uuid) },
    dns_name: { kind: dnsName },
    port_details: {
      shows: withNull(portDetailsShown),
      view: ({ portDetails }) =>
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
    port_forwardings: {
      shows: { type: "array", items: forwardingShown },
      view: (floatingIp) =>
        floatingIp.portForwardings.map((forwarding) => ({
          id: forwarding.id,
          protocol: forwarding.protocol,
          // Of a range there is no one port.
          ...(forwarding.internalPort === null ? {} : { internal_port: forwarding.internalPort }),
          ...(forwarding.externalPort === null ? {} : { external_port: forwarding.externalPort }),
          internal_ip_address: forwarding.internalIpAddress,
          internal_port_id: forwarding.internalPortId,
        })),
    },
  },
  // An update of nothing takes the address off its port, as clients of Neutron have used it for long.
  readChanges: (changes) => (Object.keys(changes).length === 0 ? { portId: null } : changes),
  list: listFloatingIps,
  get: getFloatingIp,
  create: createFloatingIps,
  update: updateFloatingIp,
  remove: deleteFloatingIp,
})

export const floatingIpRoutes = resourceRoutes(floatingIps)
