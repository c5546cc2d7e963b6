// Every refusal of the network service. The wire gives each code the type name that Neutron gives it.
import { fault } from "../platform/fault/fault.ts"

const notFound = (noun: string, show: string, ending = "could not be found.") =>
  fault("not_found", `network.${noun}.not_found`, (id: string) => `${show} ${id} ${ending}`)

export const networkNotFound = notFound("network", "Network")
export const subnetNotFound = notFound("subnet", "Subnet")
export const subnetPoolNotFound = notFound("subnet_pool", "Subnet pool")
export const addressScopeNotFound = notFound("address_scope", "Address scope")
export const portNotFound = notFound("port", "Port")
export const routerNotFound = notFound("router", "Router", "could not be found")
export const floatingIpNotFound = notFound("floating_ip", "Floating IP", "could not be found")
export const portForwardingNotFound = notFound("port_forwarding", "Port Forwarding")
export const securityGroupNotFound = notFound("security_group", "Security group", "does not exist")
export const securityGroupRuleNotFound = notFound(
  "security_group_rule",
  "Security group rule",
  "does not exist",
)
export const addressGroupNotFound = notFound("address_group", "Address group")
export const defaultRuleNotFound = notFound(
  "default_security_group_rule",
  "Default Security Group rule",
  "does not exist",
)
export const rbacPolicyNotFound = notFound("rbac_policy", "RBAC policy")
export const tagNotFound = fault(
  "not_found",
  "network.tag.not_found",
  (tag: string) => `Tag ${tag} could not be found.`,
)
export const agentNotFound = notFound("agent", "Agent")
/** In the words of Neutron's OVN driver, whose agents cannot be switched off either. */
export const agentStatusFixed = fault(
  "invalid",
  "network.agent.status_fixed",
  () => "Bad agent request: OVN agent status cannot be updated.",
)
export const agentAlive = fault(
  "conflict",
  "network.agent.alive",
  (id: string) => `Agent ${id} is alive: it would come back with its next report. Stop its host first.`,
)
export const autoTopologyField = fault(
  "invalid",
  "network.auto_topology.field_unknown",
  () => "Bad auto_allocate request: Unrecognized field.",
)

/** The request is well formed and says something that cannot be. */
export const badRequest = fault("invalid", "network.invalid_input", (why: string) => why)
export const badAllocationPool = fault(
  "invalid",
  "network.allocation_pool.invalid",
  (pool: string) => `The allocation pool ${pool} is not valid.`,
)
export const poolOutOfBounds = fault(
  "invalid",
  "network.allocation_pool.out_of_bounds",
  (pool: string, cidr: string) => `The allocation pool ${pool} spans beyond the subnet cidr ${cidr}.`,
)
export const poolsOverlap = fault(
  "conflict",
  "network.allocation_pool.overlap",
  (a: string, b: string, cidr: string) => `Found overlapping allocation pools: ${a} ${b} for subnet ${cidr}.`,
)
export const gatewayInPool = fault(
  "conflict",
  "network.subnet.gateway_in_pool",
  (gateway: string, pool: string) => `Gateway ip ${gateway} conflicts with allocation pool ${pool}.`,
)
export const gatewayInUse = fault(
  "conflict",
  "network.subnet.gateway_in_use",
  (gateway: string, portId: string) =>
    `Current gateway ip ${gateway} already in use by port ${portId}. Unable to update.`,
)
export const nameserversExhausted = fault(
  "invalid",
  "network.subnet.too_many_nameservers",
  (id: string, max: number) =>
    `Unable to complete operation for ${id}. The number of DNS nameservers exceeds the limit ${max}.`,
)
export const hostRoutesExhausted = fault(
  "invalid",
  "network.subnet.too_many_host_routes",
  (id: string, max: number) =>
    `Unable to complete operation for ${id}. The number of host routes exceeds the limit ${max}.`,
)

export const networkInUse = fault(
  "conflict",
  "network.network.in_use",
  (id: string) =>
    `Unable to complete operation on network ${id}. There are one or more ports still in use on the network.`,
)
export const sharingInUse = fault(
  "conflict",
  "network.network.sharing_in_use",
  (id: string) => `Unable to reconfigure sharing settings for network ${id}. Multiple tenants are using it.`,
)
export const externalInUse = fault(
  "conflict",
  "network.network.external_in_use",
  (id: string) =>
    `External network ${id} cannot be updated to be made non-external, since it has existing gateway ports.`,
)
export const flatNetworkInUse = fault(
  "conflict",
  "network.network.flat_in_use",
  (name: string) => `Unable to create the flat network. Physical network ${name} is in use.`,
)
export const vlanInUse = fault(
  "conflict",
  "network.network.vlan_in_use",
  (vlan: number, name: string) =>
    `Unable to create the network. The VLAN ${vlan} on physical network ${name} is in use.`,
)
export const tunnelInUse = fault(
  "conflict",
  "network.network.tunnel_in_use",
  (id: number) => `Unable to create the network. The tunnel ID ${id} is in use.`,
)
export const noSegmentLeft = fault(
  "no_capacity",
  "network.network.no_segment_left",
  () => "Unable to create the network. No tenant network is available for allocation.",
)
export const subnetInUse = fault(
  "conflict",
  "network.subnet.in_use",
  (id: string, why = "One or more ports have an IP allocation from this subnet.") =>
    `Unable to complete operation on subnet ${id}: ${why}`,
)
export const portInUse = fault(
  "conflict",
  "network.port.in_use",
  (id: string, networkId: string, deviceId: string) =>
    `Unable to complete operation on port ${id} for network ${networkId}. Port already has an attached device ${deviceId}.`,
)
export const servicePortInUse = fault(
  "conflict",
  "network.port.service_port_in_use",
  (id: string, why: string) => `Port ${id} cannot be deleted directly via the port API: ${why}.`,
)
export const macAddressInUse = fault(
  "conflict",
  "network.port.mac_address_in_use",
  (networkId: string, mac: string) =>
    `Unable to complete operation for network ${networkId}. The mac address ${mac} is in use.`,
)
export const portBound = fault(
  "conflict",
  "network.port.bound",
  (id: string, owner: string, oldMac: string, newMac: string) =>
    `Unable to complete operation on port ${id}, port is already bound, port type: ${owner}, old_mac ${oldMac}, new_mac ${newMac}.`,
)
export const addressInUse = fault(
  "conflict",
  "network.ip_address.in_use",
  (address: string, where: string) => `IP address ${address} already allocated in ${where}.`,
)
export const addressNotInNetwork = fault(
  "invalid",
  "network.ip_address.not_in_network",
  (address: string) =>
    `IP address ${address} is not a valid IP for any of the subnets on the specified network.`,
)
export const addressNotInSubnet = fault(
  "invalid",
  "network.ip_address.not_in_subnet",
  (address: string, subnetId = "the specified subnet") =>
    `IP address ${address} is not a valid IP for ${subnetId}.`,
)
export const noAddressLeft = fault(
  "conflict",
  "network.ip_address.exhausted",
  (networkId: string) => `No more IP addresses available on network ${networkId}.`,
)
/** Not the same as none left: whoever asks again gets one. */
export const addressesBusy = fault(
  "unavailable",
  "network.ip_address.busy",
  (networkId: string) =>
    `Too many requests take IP addresses of network ${networkId} at this moment; try again.`,
)
export const noExternalAddressLeft = fault(
  "invalid",
  "network.ip_address.external_exhausted",
  (networkId: string) => `Unable to find any IP address on external network ${networkId}.`,
)
export const subnetNotOfNetwork = fault(
  "invalid",
  "network.port.subnet_mismatch",
  (subnetId: string, networkId: string) =>
    `Failed to create port on network ${networkId}, because fixed_ips included invalid subnet ${subnetId}.`,
)
export const pairsNeedPortSecurity = fault(
  "conflict",
  "network.port.pairs_need_port_security",
  () => "Port Security must be enabled in order to have allowed address pairs on a port.",
)
export const tooManyAddressPairs = fault(
  "invalid",
  "network.port.too_many_address_pairs",
  (max: number) => `The number of allowed address pair exceeds the maximum ${max}.`,
)
export const portHasSecurityGroup = fault(
  "conflict",
  "network.port.has_security_group",
  () =>
    "Port has security group associated. Cannot disable port security or IP address until security group is removed.",
)
export const groupsNeedPortSecurity = fault(
  "invalid",
  "network.port.groups_need_port_security",
  () => "Port security must be enabled and port must have an IP address in order to use security groups.",
)
export const deviceReserved = fault(
  "conflict",
  "network.port.device_reserved",
  (deviceOwner: string) =>
    `device_owner ${deviceOwner} and the device_id beside it are written by the network service alone; use the router's or the floating IP's own calls.`,
)

export const routerInUse = fault(
  "conflict",
  "network.router.in_use",
  (id: string, why = "still has ports") => `Router ${id} ${why}`,
)
export const interfaceNotFound = fault(
  "not_found",
  "network.router.interface_not_found",
  (routerId: string, portId: string) => `Router ${routerId} does not have an interface with id ${portId}`,
)
export const interfaceNotFoundForSubnet = fault(
  "not_found",
  "network.router.interface_not_found_for_subnet",
  (routerId: string, subnetId: string) => `Router ${routerId} has no interface on subnet ${subnetId}`,
)
export const interfaceNeededByFloatingIp = fault(
  "conflict",
  "network.router.interface_needed_by_floating_ip",
  (routerId: string, subnetId: string) =>
    `Router interface for subnet ${subnetId} on router ${routerId} cannot be deleted, as it is required by one or more floating IPs.`,
)
export const interfaceNeededByRoute = fault(
  "conflict",
  "network.router.interface_needed_by_route",
  (routerId: string, subnetId: string) =>
    `Router interface for subnet ${subnetId} on router ${routerId} cannot be deleted, as it is required by one or more routes.`,
)
export const gatewayNeededByFloatingIp = fault(
  "conflict",
  "network.router.gateway_needed_by_floating_ip",
  (routerId: string, networkId: string) =>
    `Gateway cannot be updated for router ${routerId}, since a gateway to external network ${networkId} is required by one or more floating IPs.`,
)
export const badRoutes = fault(
  "invalid",
  "network.router.invalid_routes",
  (routes: string, why: string) => `Invalid format for routes: ${routes}, ${why}`,
)
export const tooManyRoutes = fault(
  "invalid",
  "network.router.too_many_routes",
  (id: string, max: number) =>
    `Unable to complete operation for ${id}. The number of routes exceeds the maximum ${max}.`,
)

export const floatingIpTargetTaken = fault(
  "conflict",
  "network.floating_ip.target_taken",
  (address: string, id: string, portId: string, fixed: string, networkId: string) =>
    `Cannot associate floating IP ${address} (${id}) with port ${portId} using fixed IP ${fixed}, as that fixed IP already has a floating IP on external network ${networkId}.`,
)
export const notReachable = fault(
  "not_found",
  "network.floating_ip.not_reachable",
  (networkId: string, subnetId: string, portId: string) =>
    `External network ${networkId} is not reachable from subnet ${subnetId}. Therefore, cannot associate Port ${portId} with a Floating IP.`,
)

export const securityGroupInUse = fault(
  "conflict",
  "network.security_group.in_use",
  (id: string) => `Security Group ${id} in use.`,
)
export const defaultGroupKept = fault(
  "conflict",
  "network.security_group.default_kept",
  () => "Insufficient rights for removing default security group.",
)
export const defaultGroupUpdate = fault(
  "conflict",
  "network.security_group.default_update",
  () => "Updating default security group not allowed.",
)
export const defaultGroupExists = fault(
  "conflict",
  "network.security_group.default_exists",
  () => "Default security group already exists.",
)
export const ruleExists = fault(
  "conflict",
  "network.security_group_rule.exists",
  (id: string) => `Security group rule already exists. Rule id is ${id}.`,
)
export const badRule = fault(
  "invalid",
  "network.security_group_rule.invalid",
  (_type: string, why: string) => why,
  (type) => ({ type }),
)

export const revisionMismatch = fault(
  "precondition",
  "network.revision_mismatch",
  (wanted: string) => `Constrained to ${wanted}, but current revision is not that.`,
)
export const forbiddenProject = fault(
  "invalid",
  "network.project_id.forbidden",
  () =>
    "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges",
)

export const poolQuotaExceeded = fault(
  "over_quota",
  "network.subnet_pool.quota_exceeded",
  () => "Per-tenant subnet pool prefix quota exceeded.",
)
export const subnetAllocationFailed = fault(
  "conflict",
  "network.subnet_pool.allocation_failed",
  (why: string) => `Failed to allocate subnet: ${why}.`,
)
export const subnetMismatch = fault(
  "invalid",
  "network.router.subnet_mismatch",
  (portId: string, subnetId: string) =>
    `Subnet on port ${portId} does not match the requested subnet ${subnetId}.`,
)
export const subnetPoolInUse = fault(
  "invalid",
  "network.subnet_pool.in_use",
  () => "Unable to delete subnet pool: Subnet pool has existing allocations.",
)
export const quotaUnknown = fault(
  "invalid",
  "network.quota.unknown_resource",
  (names: string) => `Unrecognized attribute(s) '${names}'`,
)
export const quotaBelowUsage = fault(
  "invalid",
  "network.quota.below_usage",
  (resource: string, limit: number, used: number) =>
    `Quota limit ${limit} for ${resource} must be greater than or equal to already used ${used}.`,
)
export const addressScopeInUse = fault(
  "conflict",
  "network.address_scope.in_use",
  (id: string) =>
    `Unable to complete operation on address scope ${id}. There are one or more subnet pools in use on the address scope.`,
)
export const addressGroupInUse = fault(
  "conflict",
  "network.address_group.in_use",
  (id: string) => `Address group ${id} is in use on one or more security group rules.`,
)
export const scopePrefixConflict = fault(
  "conflict",
  "network.address_scope.prefix_conflict",
  () => "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.",
)
export const mixedStatefulness = fault(
  "conflict",
  "network.security_group.mixed_statefulness",
  () =>
    "Error Cannot apply both stateful and stateless security groups on the same port while attempting the operation.",
)
export const groupHasAddresses = fault(
  "invalid",
  "network.address_group.has_addresses",
  (addresses: readonly string[], id: string) =>
    `Addresses ${addresses.join(", ")} already exist in the address group ${id}.`,
)
export const groupLacksAddresses = fault(
  "not_found",
  "network.address_group.lacks_addresses",
  (addresses: readonly string[], id: string) =>
    `Addresses ${addresses.join(", ")} could not be found in the address group ${id}.`,
)
export const rbacPolicyExists = fault(
  "conflict",
  "network.rbac_policy.exists",
  () => "An RBAC policy already exists with those values.",
)
export const rbacPolicyInUse = fault(
  "conflict",
  "network.rbac_policy.in_use",
  (id: string) => `RBAC policy on object ${id} cannot be removed because other objects depend on it.`,
)
export const defaultRuleExists = fault(
  "conflict",
  "network.default_security_group_rule.exists",
  () => "Default Security group rule already exists.",
)
export const autoAllocationFailed = fault(
  "conflict",
  "network.auto_topology.failed",
  (why: string) => `Deployment error: ${why}.`,
)
export const autoTopologyNotFound = fault(
  "not_found",
  "network.auto_topology.not_found",
  (projectId: string) => `No auto-allocated topology was made for project ${projectId}.`,
)
export const gatewayHasNoWay = fault(
  "precondition",
  "network.gateway.no_way_out",
  (host: string, networks: readonly string[]) =>
    `${host} has no way to the external network (no bridge for ${networks.join(", ") || "it"}), so it can be no gateway. ` +
    "A host that joins with --public has one, or with --bridge-mappings that name it.",
)
export const gatewayIsOnlyOne = fault(
  "conflict",
  "network.gateway.only_one",
  (host: string) => `${host} is the only gateway. Make another host one first: ./kumoi host gateway HOST on`,
)
export const gatewaysSimulated = fault(
  "unsupported",
  "network.gateway.simulated",
  () => "The network of this cloud is simulated: it has no gateways.",
)
/** In the words of Neutron's service of port forwardings. */
export const badPortForwarding = fault(
  "invalid",
  "network.port_forwarding.invalid",
  (why: string) => `Bad port_forwarding request: ${why}.`,
)
export const portForwardingCollides = fault(
  "invalid",
  "network.port_forwarding.collision",
  (key: string, existing: string, asked: string) =>
    `Bad port_forwarding request: There is a port collision with the ${key}. The following ranges collide: ${existing} and ${asked}.`,
)
export const floatingIpForwards = fault(
  "conflict",
  "network.floating_ip.has_port_forwardings",
  (id: string) => `Floating IP ${id} in use by Port Forwarding resources.`,
)
export const portHasFloatingIp = fault(
  "conflict",
  "network.port.has_floating_ip",
  (floatingIpAddress: string, floatingIpId: string, portId: string, fixedIp: string) =>
    `Cannot create port forwarding to floating IP ${floatingIpAddress} (${floatingIpId}) with port ${portId} using fixed IP ${fixedIp}, as that port already has a binding floating IP.`,
)
export const portHasForwardings = fault(
  "invalid",
  "network.port.has_port_forwardings",
  (portId: string) =>
    `Cannot associate floating IP to port ${portId} because it already has a Port Forwarding binding.`,
)
