import {
  createPortForwardings,
  deletePortForwarding,
  forwardedProtocols,
  getPortForwarding,
  listPortForwardings,
  portForwardingNoun,
  updatePortForwarding,
} from "../index.ts"
import { badRequest } from "./bad-request.ts"
import { integer, type Kind, nullIsAbsent, oneOf } from "./kinds.ts"
import { resource, resourceRoutes } from "./resource.ts"

const portNumber = nullIsAbsent({
  ...integer,
  schema: { type: "integer", minimum: 1, maximum: 65_535 },
  read: (value, name) => {
    const port = Number(integer.read(value, name))
    if (port < 1 || port > 65_535)
      throw badRequest(`Invalid input for ${name}. Reason: '${port}' is not in range 1 through 65535.`)
    return port
  },
})

/** One port is the range of itself. */
const portRange = nullIsAbsent({
  schema: { type: "string", description: "One port, or two with a colon between: 8080:8090." },
  read: (value, name) => {
    const text = String(value)
    if (!/^\d{1,5}(:\d{1,5})?$/.test(text))
      throw badRequest(
        `Invalid input for ${name}. Reason: Port range must be two integers separated by a colon.`,
      )
    return text
  },
  filter: (text) => (text.includes(":") ? text : `${text}:${text}`),
})

const protocols = oneOf(forwardedProtocols)
const protocol: Kind = {
  ...protocols,
  read: (value, name) => protocols.read(typeof value === "string" ? value.toLowerCase() : value, name),
}

export const portForwardings = resource({
  noun: portForwardingNoun,
  singular: "port_forwarding",
  path: "/floatingips/{floatingip_id}/port_forwardings",
  parent: (params) => ({ floatingIpId: params.floatingip_id ?? "" }),
  particulars: {
    protocol: { kind: protocol },
    internal_port: { kind: portNumber },
    external_port: { kind: portNumber },
    internal_port_range: { kind: portRange },
    external_port_range: { kind: portRange },
    // The path says it.
    floating_ip_id: { filter: undefined },
  },
  list: listPortForwardings,
  get: getPortForwarding,
  create: createPortForwardings,
  update: updatePortForwarding,
  remove: deletePortForwarding,
})

export const portForwardingRoutes = resourceRoutes(portForwardings)
