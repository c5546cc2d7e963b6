import type { Ctx } from "../../platform/context/context.ts"
import {
  createPorts,
  deletePort,
  dnsAssignment,
  getPort,
  hiddenPortAttributes,
  listPorts,
  type Port,
  updatePort,
} from "../index.ts"
import { type Attributes, badRequest, standardAttributes } from "./attributes.ts"
import {
  address,
  boolean,
  dictionary,
  filledText,
  integer,
  type Kind,
  listOf,
  mac,
  nullIsAbsent,
  objectOf,
  oneOf,
  orNull,
  shown,
  standardKinds,
  text,
  uuid,
} from "./kinds.ts"
import type { ExtraFilters } from "./query.ts"
import { type Resource, resourceRoutes } from "./resource.ts"

/** A subnet may be named twice, an address not. */
export const fixedIps: Kind = listOf(
  objectOf({
    ip_address: { kind: nullIsAbsent(address), key: "ipAddress" },
    subnet_id: { kind: nullIsAbsent(uuid), key: "subnetId" },
    // Clients that send back what they read send this too.
    delegated_subnet: { kind: { read: () => undefined }, key: "delegatedSubnet" },
  }),
  { what: "list", sameness: (item) => (item as { ipAddress?: string }).ipAddress },
)

/** null asks for another one: at a creation that is what comes anyway. */
const newMacByNull: Kind = { ...mac, read: (value, name) => (value === null ? "" : mac.read(value, name)) }

const addressPairs: Kind = listOf(
  objectOf({
    ip_address: { kind: text(), key: "ipAddress", required: true },
    mac_address: { kind: nullIsAbsent(mac), key: "macAddress" },
  }),
)

const dhcpOptions: Kind = listOf(
  objectOf({
    opt_name: { kind: filledText(64), key: "name", required: true },
    opt_value: { kind: orNull(filledText()), key: "value", required: true },
    ip_version: { kind: oneOf([4, 6], (v) => integer.read(v, "ip_version")), key: "ipVersion" },
  }),
)

const vnicTypes = [
  "normal",
  "direct",
  "macvtap",
  "baremetal",
  "direct-physical",
  "virtio-forwarder",
  "smart-nic",
  "vdpa",
  "remote-managed",
]

/** A name of one label, or a full one; in lower case. */
export const dnsName: Kind = {
  read: (value, name) => {
    const read = String(text().read(value, name)).toLowerCase()
    const labels = read.replace(/\.$/, "").split(".")
    if (read !== "" && labels.some((label) => !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)))
      throw badRequest(`Invalid input for ${name}. Reason: '${read}' not a valid PQDN or FQDN.`)
    return read
  },
}

const attributes: Attributes = {
  ...standardAttributes(standardKinds, { description: text() }),
  name: { kind: text(), post: true, put: true, filter: true, sort: true },
  network_id: { kind: uuid, post: true, required: true, filter: true, sort: true },
  admin_state_up: { kind: boolean, post: true, put: true, filter: true, sort: true },
  status: { kind: text(), filter: true, sort: true },
  mac_address: { kind: newMacByNull, post: true, put: true, filter: true, sort: true },
  fixed_ips: { kind: fixedIps, post: true, put: true, view: (port: Port) => port.fixedIps.map(viewFixedIp) },
  device_id: { kind: text(), post: true, put: true, filter: true, sort: true },
  device_owner: { kind: text(), post: true, put: true, filter: true, sort: true },
  security_groups: { kind: nullIsAbsent(listOf(uuid)), post: true, put: true, filter: true },
  port_security_enabled: { kind: boolean, post: true, put: true },
  allowed_address_pairs: {
    kind: addressPairs,
    post: true,
    put: true,
    view: (port: Port) =>
      port.allowedAddressPairs.map((p) => ({ ip_address: p.ipAddress, mac_address: p.macAddress })),
  },
  extra_dhcp_opts: {
    kind: dhcpOptions,
    post: true,
    put: true,
    view: (port: Port) =>
      port.extraDhcpOpts.map((o) => ({ opt_name: o.name, opt_value: o.value, ip_version: o.ipVersion })),
  },
  "binding:host_id": { kind: nullAsEmpty(text()), post: true, put: true, filter: true },
  "binding:vnic_type": { kind: oneOf(vnicTypes), post: true, put: true },
  "binding:profile": { kind: dictionary, post: true, put: true },
  "binding:vif_type": { kind: shown, view: (port: Port) => vifType(port) },
  "binding:vif_details": { kind: shown, view: (port: Port) => vifDetails(port) },
  dns_name: { kind: dnsName, post: true, put: true },
  dns_domain: { kind: text(), post: true, put: true },
  dns_assignment: { kind: shown, view: viewDnsAssignment },
  propagate_uplink_status: { kind: boolean, post: true },
}

function nullAsEmpty(kind: Kind): Kind {
  return { ...kind, read: (value, name) => (value === null ? "" : kind.read(value, name)) }
}

function viewFixedIp(ip: { subnetId: string; ipAddress: string }) {
  return { subnet_id: ip.subnetId, ip_address: ip.ipAddress }
}

function vifType(port: Port): string {
  return port.bindingHostId === "" ? "unbound" : "ovs"
}

function vifDetails(port: Port): Record<string, unknown> {
  return port.bindingHostId === "" ? {} : { port_filter: true, connectivity: "l2", bridge_name: "br-int" }
}

function viewDnsAssignment(port: Port, ctx: Ctx) {
  const domain = port.dnsDomain || port.networkDnsDomain || ctx.config.network.dnsDomain
  return dnsAssignment(port, domain).map((a) => ({
    ip_address: a.ipAddress,
    hostname: a.hostname,
    fqdn: a.fqdn,
  }))
}

/** `fixed_ips=ip_address=10.0.0.3`, `fixed_ips=subnet_id=…`, `fixed_ips=ip_address_substr=10.0` */
function fixedIpFilters(values: string[]): Record<string, string[]> {
  const filters: Record<string, string[]> = {}
  const keys: Readonly<Record<string, string>> = {
    ip_address: "fixedIpAddress",
    subnet_id: "fixedIpSubnetId",
    ip_address_substr: "fixedIpAddressPart",
  }
  for (const value of values) {
    const at = value.indexOf("=")
    const key = keys[value.slice(0, Math.max(0, at))]
    if (!key)
      throw badRequest(
        `Invalid input for fixed_ips: '${value}' is not ip_address=…, subnet_id=… or ip_address_substr=…`,
      )
    filters[key] = [...(filters[key] ?? []), value.slice(at + 1)]
  }
  return filters
}

const filters: ExtraFilters = {
  fixed_ips: fixedIpFilters,
  ip_address: (values) => ({ fixedIpAddress: values }),
}

export const ports: Resource<Port> = {
  singular: "port",
  plural: "ports",
  path: "/ports",
  operations: { get: getPort, create: createPorts, update: updatePort, remove: deletePort },
  attributes,
  filters,
  hidden: hiddenPortAttributes,
  list: listPorts,
  get: (ctx, portId) => getPort(ctx, { portId }),
  create: (ctx, inputs) => createPorts(ctx, { ports: inputs }),
  update: (ctx, portId, changes, expected) => updatePort(ctx, { portId, changes, ...expected }),
  remove: (ctx, portId, expected) => deletePort(ctx, { portId, ...expected }),
}

export const portRoutes = resourceRoutes(ports)
