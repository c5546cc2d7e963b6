import type { Ctx } from "../../platform/context/context.ts"
import {
  createPorts,
  deletePort,
  dnsAssignment,
  getPort,
  hiddenPortAttributes,
  listPorts,
  type Port,
  portNoun,
  updatePort,
} from "../index.ts"
import { badRequest } from "./bad-request.ts"
import {
  address,
  dictionary,
  filledText,
  ignored,
  integer,
  type Kind,
  listOf,
  mac,
  nullIsAbsent,
  objectOf,
  oneOf,
  orNull,
  text,
  uuid,
} from "./kinds.ts"
import { resource, resourceRoutes } from "./resource.ts"

/** A subnet may be named twice, an address not. */
export const fixedIps: Kind = listOf(
  objectOf({
    ip_address: { kind: nullIsAbsent(address), key: "ipAddress" },
    subnet_id: { kind: nullIsAbsent(uuid), key: "subnetId" },
    // Clients that send back what they read send this too.
    delegated_subnet: { kind: ignored, key: "delegatedSubnet" },
  }),
  { what: "list", sameness: (item) => (item as { ipAddress?: string }).ipAddress },
)

/** null asks for another one: at a creation that is what comes anyway. */
const newMacByNull: Kind = {
  ...orNull(mac),
  read: (value, name) => (value === null ? "" : mac.read(value, name)),
}

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
  schema: text().schema,
  read: (value, name) => {
    const read = String(text().read(value, name)).toLowerCase()
    const labels = read.replace(/\.$/, "").split(".")
    if (read !== "" && labels.some((label) => !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)))
      throw badRequest(`Invalid input for ${name}. Reason: '${read}' not a valid PQDN or FQDN.`)
    return read
  },
}

function nullAsEmpty(kind: Kind): Kind {
  return { ...orNull(kind), read: (value, name) => (value === null ? "" : kind.read(value, name)) }
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

const dnsAssignmentShown = {
  type: "object",
  properties: { ip_address: address.schema, hostname: { type: "string" }, fqdn: { type: "string" } },
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

export const ports = resource({
  noun: portNoun,
  singular: "port",
  particulars: {
    mac_address: { kind: newMacByNull },
    fixed_ips: { kind: fixedIps, view: (port) => port.fixedIps.map(viewFixedIp) },
    security_groups: { kind: nullIsAbsent(listOf(uuid)) },
    allowed_address_pairs: {
      kind: addressPairs,
      view: (port) =>
        port.allowedAddressPairs.map((p) => ({ ip_address: p.ipAddress, mac_address: p.macAddress })),
    },
    extra_dhcp_opts: {
      kind: dhcpOptions,
      view: (port) =>
        port.extraDhcpOpts.map((o) => ({ opt_name: o.name, opt_value: o.value, ip_version: o.ipVersion })),
    },
    "binding:host_id": { kind: nullAsEmpty(text()) },
    "binding:vnic_type": { kind: oneOf(vnicTypes) },
    "binding:profile": { kind: dictionary },
    "binding:vif_type": { key: "bindingVifType", shows: { type: "string" }, view: vifType },
    "binding:vif_details": { key: "bindingVifDetails", shows: dictionary.schema, view: vifDetails },
    dns_name: { kind: dnsName },
    dns_assignment: { shows: { type: "array", items: dnsAssignmentShown }, view: viewDnsAssignment },
  },
  filters: { fixed_ips: fixedIpFilters },
  hidden: hiddenPortAttributes,
  list: listPorts,
  get: getPort,
  create: createPorts,
  update: updatePort,
  remove: deletePort,
})

export const portRoutes = resourceRoutes(ports)
