// Neutron's error shape: {"NeutronError": {"type": …, "message": …, "detail": ""}}.
import { type FaultRequest, faultTable } from "../../api/openstack/fault-table.ts"
import type { Fault } from "../../platform/fault/fault.ts"
import { methodNotAllowed, pathUnknown, routeNotServed } from "../../platform/http/faults.ts"

/** The class names of Neutron's exceptions, which some clients read. */
const typeByCode: Readonly<Record<string, string>> = {
  "request.invalid": "HTTPBadRequest",
  "request.malformed_json": "HTTPBadRequest",
  [routeNotServed.code]: "HTTPNotFound",
  [pathUnknown.code]: "HTTPNotFound",
  [methodNotAllowed.code]: "HTTPMethodNotAllowed",
  "network.network.not_found": "NetworkNotFound",
  "network.subnet.not_found": "SubnetNotFound",
  "network.subnet_pool.not_found": "SubnetPoolNotFound",
  "network.address_scope.not_found": "AddressScopeNotFound",
  "network.port.not_found": "PortNotFound",
  "network.router.not_found": "RouterNotFound",
  "network.floating_ip.not_found": "FloatingIPNotFound",
  "network.port_forwarding.not_found": "PortForwardingNotFound",
  "network.port_forwarding.invalid": "BadRequest",
  "network.port_forwarding.collision": "BadRequest",
  "network.floating_ip.has_port_forwardings": "FipInUseByPortForwarding",
  "network.port.has_floating_ip": "PortHasBindingFloatingIP",
  "network.port.has_port_forwardings": "PortHasPortForwarding",
  "network.security_group.not_found": "SecurityGroupNotFound",
  "network.security_group_rule.not_found": "SecurityGroupRuleNotFound",
  "network.address_scope.prefix_conflict": "AddressScopePrefixConflict",
  "network.security_group.mixed_statefulness": "SecurityGroupConflict",
  "network.address_group.not_found": "AddressGroupNotFound",
  "network.address_group.has_addresses": "AddressesAlreadyExist",
  "network.address_group.lacks_addresses": "AddressesNotFound",
  "network.default_security_group_rule.not_found": "DefaultSecurityGroupRuleNotFound",
  "network.rbac_policy.not_found": "RbacPolicyNotFound",
  "network.rbac_policy.exists": "DuplicateRbacPolicy",
  "network.rbac_policy.in_use": "RbacPolicyInUse",
  "network.qos_policy.not_found": "QosPolicyNotFound",
  "network.qos_policy.in_use": "QosPolicyInUse",
  "network.qos_policy.default_exists": "QoSPolicyDefaultAlreadyExists",
  "network.qos_policy.removal_forbidden": "PolicyRemoveAuthorizationError",
  "network.qos_rule.not_found": "QosRuleNotFound",
  "network.qos_rule.conflict": "QoSRulesConflict",
  "network.qos_rule.parameter_conflict": "QoSRuleParameterConflict",
  "network.qos_rule.not_supported": "QosRuleNotSupported",
  "network.qos_rule.not_supported_by_network": "QosRuleNotSupportedByNetwork",
  "network.qos_rule_type.not_found": "QosRuleTypeNotFound",
  "network.tag.not_found": "TagNotFound",
  "network.agent.not_found": "AgentNotFound",
  "network.agent.status_fixed": "BadRequest",
  "network.auto_topology.field_unknown": "BadRequest",
  "network.allocation_pool.invalid": "InvalidAllocationPool",
  "network.allocation_pool.out_of_bounds": "OutOfBoundsAllocationPool",
  "network.allocation_pool.overlap": "OverlappingAllocationPools",
  "network.subnet.gateway_in_pool": "GatewayConflictWithAllocationPools",
  "network.subnet.gateway_in_use": "GatewayIpInUse",
  "network.subnet.too_many_nameservers": "DNSNameServersExhausted",
  "network.subnet.too_many_host_routes": "HostRoutesExhausted",
  "network.subnet.in_use": "SubnetInUse",
  "network.network.in_use": "NetworkInUse",
  "network.network.sharing_in_use": "InvalidSharedSetting",
  "network.network.external_in_use": "ExternalNetworkInUse",
  "network.network.flat_in_use": "FlatNetworkInUse",
  "network.network.vlan_in_use": "VlanIdInUse",
  "network.network.tunnel_in_use": "TunnelIdInUse",
  "network.network.no_segment_left": "NoNetworkAvailable",
  "network.port.in_use": "PortInUse",
  "network.port.service_port_in_use": "ServicePortInUse",
  "network.port.mac_address_in_use": "MacAddressInUse",
  "network.port.bound": "PortBound",
  "network.port.subnet_mismatch": "SubnetMismatchForPort",
  "network.port.pairs_need_port_security": "AddressPairAndPortSecurityRequired",
  "network.port.too_many_address_pairs": "AllowedAddressPairExhausted",
  "network.port.has_security_group": "PortSecurityPortHasSecurityGroup",
  "network.port.groups_need_port_security": "PortSecurityAndIPRequiredForSecurityGroups",
  "network.port.device_not_owned": "DeviceIDNotOwnedByTenant",
  "network.ip_address.in_use": "IpAddressAlreadyAllocated",
  "network.ip_address.not_in_network": "InvalidIpForNetwork",
  "network.ip_address.not_in_subnet": "InvalidIpForSubnet",
  "network.ip_address.exhausted": "IpAddressGenerationFailure",
  "network.ip_address.external_exhausted": "ExternalIpAddressExhausted",
  "network.router.in_use": "RouterInUse",
  "network.router.interface_not_found": "RouterInterfaceNotFound",
  "network.router.interface_not_found_for_subnet": "RouterInterfaceNotFoundForSubnet",
  "network.router.interface_needed_by_floating_ip": "RouterInterfaceInUseByFloatingIP",
  "network.router.interface_needed_by_route": "RouterInterfaceInUseByRoute",
  "network.router.gateway_needed_by_floating_ip": "RouterExternalGatewayInUseByFloatingIp",
  "network.router.invalid_routes": "InvalidRoutes",
  "network.router.too_many_routes": "RoutesExhausted",
  "network.router.subnet_mismatch": "SubnetMismatchForPort",
  "network.floating_ip.target_taken": "FloatingIPPortAlreadyAssociated",
  "network.floating_ip.not_reachable": "ExternalGatewayForFloatingIPNotFound",
  "network.security_group.in_use": "SecurityGroupInUse",
  "network.security_group.default_kept": "SecurityGroupCannotRemoveDefault",
  "network.security_group.default_update": "SecurityGroupCannotUpdateDefault",
  "network.security_group.default_exists": "SecurityGroupDefaultAlreadyExists",
  "network.security_group_rule.exists": "SecurityGroupRuleExists",
  "network.subnet_pool.quota_exceeded": "SubnetPoolQuotaExceeded",
  "network.subnet_pool.allocation_failed": "SubnetAllocationError",
  "network.subnet_pool.in_use": "SubnetPoolDeleteError",
  "network.address_scope.in_use": "AddressScopeInUse",
  "network.address_group.in_use": "AddressGroupInUse",
  "network.auto_topology.failed": "AutoAllocationFailure",
  "network.default_security_group_rule.exists": "DefaultSecurityGroupRuleExists",
  "network.project_id.forbidden": "HTTPBadRequest",
}

const codes = Object.fromEntries(Object.entries(typeByCode).map(([code, word]) => [code, { word }]))

export const renderFault = faultTable({
  statuses: { over_quota: 409 },
  words: {
    invalid: "InvalidInput",
    unauthenticated: "HTTPUnauthorized",
    forbidden: "PolicyNotAuthorized",
    not_found: "HTTPNotFound",
    conflict: "Conflict",
    precondition: "RevisionNumberConstraintFailed",
    over_quota: "OverQuota",
    no_capacity: "NoNetworkAvailable",
    too_large: "HTTPRequestEntityTooLarge",
    unsupported: "HTTPNotImplemented",
    rate_limited: "HTTPTooManyRequests",
    timed_out: "HTTPRequestTimeout",
    unavailable: "HTTPServiceUnavailable",
    bug: "HTTPInternalServerError",
  },
  codes,
  messageOf,
  body: ({ fault, message, word }) => {
    const own = fault.detail?.type
    return { body: { NeutronError: { type: typeof own === "string" ? own : word, message, detail: "" } } }
  },
})

function messageOf(fault: Fault, { requestId }: FaultRequest): string {
  if (fault.kind === "bug")
    return `Request Failed: internal server error while processing your request (${requestId}).`
  if (fault.code === "policy.forbidden") return `rule:${String(fault.detail?.rule)} is disallowed by policy`
  if (fault.code === "quota.exceeded") return `Quota exceeded for resources: ${shortOf(fault)}.`
  return fault.message
}

function shortOf(fault: Fault): string {
  const shortages = fault.detail?.shortages
  const names = Array.isArray(shortages)
    ? shortages.map((s: unknown) => (typeof s === "object" && s !== null ? Reflect.get(s, "resource") : s))
    : []
  return `[${names.map((name) => `'${String(name)}'`).join(", ")}]`
}
