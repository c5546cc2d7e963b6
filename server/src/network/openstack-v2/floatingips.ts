import {
  createFloatingIps,
  deleteFloatingIp,
  floatingIpNoun,
  getFloatingIp,
  listFloatingIps,
  updateFloatingIp,
} from "../index.ts"
import { address, nullIsAbsent, orNull, uuid } from "./kinds.ts"
import { dnsName } from "./ports.ts"
import { resource, resourceRoutes } from "./resource.ts"

export const floatingIps = resource({
  noun: floatingIpNoun,
  singular: "floatingip",
  particulars: {
    floating_ip_address: { kind: nullIsAbsent(address) },
    subnet_id: { kind: orNull(uuid) },
    dns_name: { kind: dnsName },
    port_details: {
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
