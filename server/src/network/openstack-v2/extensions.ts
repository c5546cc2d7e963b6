// Which parts of the API are served, and the small lists without rows.
import { extensionListRoutes } from "../../api/openstack/extension-list.ts"
import { all, each, flag, shape, text } from "../../api/openstack/shape.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { type Route, route } from "../../platform/http/wire.ts"
import { listAvailabilityZones, listServiceProviders } from "../index.ts"

/** Only what is served: clients and suites trust this list. */
const extensions: Readonly<Record<string, string>> = {
  agent: "agent",
  "address-scope": "Address scope",
  "address-group": "Address group",
  "allowed-address-pairs": "Allowed Address Pairs",
  "auto-allocated-topology": "Auto Allocated Topology Services",
  availability_zone: "Availability Zone",
  binding: "Port Binding",
  "default-subnetpools": "Default Subnetpools",
  "dns-domain-ports": "dns_domain for ports",
  "dns-integration": "DNS Integration",
  "empty-string-filtering": "Empty String Filtering Extension",
  "expose-port-forwarding-in-fip": "Expose Port Forwarding in Floating IP",
  "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
  "external-net": "Neutron external network",
  extra_dhcp_opt: "Neutron Extra DHCP options",
  extraroute: "Neutron Extra Route",
  "extraroute-atomic": "Atomically add/remove extra routes",
  "filter-validation": "Filter parameters validation",
  "fip-port-details": "Floating IP Port Details Extension",
  "floating-ip-port-forwarding": "Floating IP Port Forwarding",
  "floating-ip-port-forwarding-description": "Floating IP Port Forwarding new field description",
  "floating-ip-port-forwarding-detail": "Floating IP Port Forwarding detail in floating IPs",
  "floating-ip-port-forwarding-port-ranges": "Floating IP Port Forwarding support for port ranges",
  "ip-substring-filtering": "IP address substring filtering",
  l2_adjacency: "L2 Adjacency",
  "net-mtu": "Network MTU",
  "net-mtu-writable": "Network MTU (writable)",
  network_availability_zone: "Network Availability Zone",
  "network-ip-availability": "Network IP Availability",
  pagination: "Pagination support",
  "port-mac-address-regenerate": "Neutron Port MAC address regenerate",
  "port-security": "Port Security",
  "project-id": "project_id field enabled",
  provider: "Provider Network",
  qos: "Quality of Service",
  "qos-bw-limit-direction": "Direction for QoS bandwidth limit rule",
  "qos-bw-minimum-ingress": "Ingress direction for QoS minimum bandwidth rule",
  "qos-default": "QoS default policy",
  "qos-fip": "Floating IP QoS",
  "qos-fip-network-policy": "QoS policy inherited by a floating IP from its network",
  "qos-gateway-ip": "Gateway IP QoS",
  "qos-port-network-policy": "QoS policy inherited by a port from its network",
  "qos-pps": "QoS packet rate limit rule",
  "qos-pps-minimum": "QoS minimum packet rate rule",
  "qos-pps-minimum-rule-alias": "Ability to enable aliases for QoS minimum packet rate rules",
  "qos-rule-type-details": "Details of QoS rule types",
  "qos-rule-type-filter": "Filter QoS rule types",
  "qos-rules-alias": "Ability to enable aliases for QoS rules",
  "quota-check-limit": "Quota engine limit check",
  "quota-check-limit-default": "Quota engine limit check by default",
  quota_details: "Quota details management support",
  quotas: "Quota management support",
  "rbac-address-group": "Add address_group type to RBAC",
  "rbac-address-scope": "Add address_scope type to RBAC",
  "rbac-policies": "RBAC Policies",
  "rbac-security-groups": "Add security_group type to network RBAC",
  "rbac-subnetpool": "Add subnetpool type to RBAC",
  "revision-if-match": "If-Match constraints based on revision_number",
  router: "Neutron L3 Router",
  router_availability_zone: "Router Availability Zone",
  "security-group": "security-group",
  "security-groups-default-rules": "Default rules for security groups",
  "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
  "security-groups-remote-address-group": "Remote address group id field for security group rules",
  "security-groups-rules-belongs-to-default-sg":
    "Security group rule belongs to the project's default security group",
  "security-groups-shared-filtering": "Security group filtering on the shared field",
  "service-type": "Neutron Service Type Management",
  "sort-key-validation": "Sort Key Validation",
  sorting: "Sorting support",
  "standard-attr-description": "standard-attr-description",
  "standard-attr-revisions": "Resource revision numbers",
  "standard-attr-tag": "Tag support for resources with standard attribute: port, subnet, network, router …",
  "standard-attr-timestamp": "Resource timestamps",
  "stateful-security-group": "Stateful security group",
  "subnet-dns-publish-fixed-ip": "Subnet DNS Publish Fixed IP",
  "subnet-external-network": "Subnet belongs to an external network",
  "subnet-service-types": "Subnet service types",
  subnet_allocation: "Subnet Allocation",
  "subnetpool-prefix-ops": "Subnet Pool Prefix Operations",
  "tag-creation": "Tag creation for resources with standard attributes",
  "tag-ports-during-bulk-creation": "Tag Ports During Bulk Creation",
  "uplink-status-propagation": "Port Uplink Status Propagation",
}

function viewExtension(alias: string, name: string) {
  return { alias, name, description: name, links: [], updated: "2024-01-01T00:00:00-00:00" }
}

export const extensionRoutes: Route[] = [
  ...extensionListRoutes({
    served: extensions,
    view: viewExtension,
    notFound: (alias) =>
      new Fault(
        "not_found",
        "network.wire.extension_not_found",
        `Extension with alias ${alias} does not exist`,
      ),
  }),
  route({
    method: "GET",
    path: "/availability_zones",
    operation: listAvailabilityZones,
    told: all("availability_zones", shape("AvailabilityZone", each("name resource state", text))),
    handler: async (ctx) => ({ availability_zones: await listAvailabilityZones(ctx, {}) }),
  }),
  route({
    method: "GET",
    path: "/service-providers",
    operation: listServiceProviders,
    told: all(
      "service_providers",
      shape("ServiceProvider", { ...each("service_type name", text), default: flag }),
    ),
    handler: async (ctx) => ({
      service_providers: (await listServiceProviders(ctx, {})).map((provider) => ({
        service_type: provider.serviceType,
        name: provider.name,
        default: provider.isDefault,
      })),
    }),
  }),
]
