// What other services may use of the network service: networks, subnets, ports, routers, floating IPs, security groups.
import type {} from "./tables.ts"

export {
  addressGroupNoun,
  changeGroupAddresses,
  createAddressGroups,
  deleteAddressGroup,
  getAddressGroup,
  listAddressGroups,
  updateAddressGroup,
} from "./address-group/address-group.ts"
export {
  addressScopeNoun,
  createAddressScopes,
  deleteAddressScope,
  getAddressScope,
  listAddressScopes,
  updateAddressScope,
} from "./address-scope/address-scope.ts"
export {
  type Agent,
  agentNoun,
  deleteAgent,
  forgetHostAgents,
  getAgent,
  listAgents,
  noteHostAgents,
  updateAgent,
} from "./agent/agent.ts"
export { physicalNetworksOfHost, selectBridgeMappings } from "./agent/physical-network.ts"
export {
  type AutoTopology,
  checkAutoTopology,
  deleteAutoTopology,
  getAutoTopology,
} from "./auto-topology/auto-topology.ts"
export {
  getNetworkAvailability,
  listNetworkAvailability,
  type NetworkAvailability,
} from "./availability/availability.ts"
export { listAvailabilityZones } from "./availability/zones.ts"
export { networkConfig } from "./config.ts"
export * from "./faults.ts"
export { createFloatingIps } from "./floating-ip/create.ts"
export { deleteFloatingIp } from "./floating-ip/delete.ts"
export { type FloatingIp, floatingIpNoun } from "./floating-ip/floating-ip.ts"
export { getFloatingIp, listFloatingIps } from "./floating-ip/read.ts"
export { updateFloatingIp } from "./floating-ip/update.ts"
export { changeGateway, forgetGateway, type GatewayHost, selectGateways } from "./gateway/gateway.ts"
export { createNetworks } from "./network/create.ts"
export { deleteNetwork } from "./network/delete.ts"
export { type Network, networkNoun } from "./network/network.ts"
export { getNetwork, hiddenNetworkAttributes, listNetworks } from "./network/read.ts"
export { updateNetwork } from "./network/update.ts"
export { createPorts } from "./port/create.ts"
export { deletePort } from "./port/delete.ts"
export { type DnsAssignment, dnsAssignment, type Port, portNoun } from "./port/port.ts"
export { getPort, hiddenPortAttributes, listPorts } from "./port/read.ts"
export { updatePort } from "./port/update.ts"
export { createPortForwardings } from "./port-forwarding/create.ts"
export { deletePortForwarding } from "./port-forwarding/delete.ts"
export { forwardedProtocols, portForwardingNoun } from "./port-forwarding/port-forwarding.ts"
export { getPortForwarding, listPortForwardings } from "./port-forwarding/read.ts"
export { updatePortForwarding } from "./port-forwarding/update.ts"
export { createQosPolicies } from "./qos/create.ts"
export { deleteQosPolicy } from "./qos/delete.ts"
export * from "./qos/faults.ts"
export {
  getQosPolicy,
  listQosPolicies,
  type QosPolicy,
  type QosRule,
  qosPolicyNoun,
} from "./qos/qos-policy.ts"
export { qosRuleVerbs } from "./qos/rule.ts"
export {
  getQosRuleType,
  listQosRuleTypes,
  parametersOf,
  type QosRuleType,
  type RuleParameter,
  type RuleTypeName,
  type RuleValues,
  ruleTypeNames,
} from "./qos/rule-types.ts"
export { updateQosPolicy } from "./qos/update.ts"
export { quotaResources } from "./quota.ts"
export {
  getDefaultNetworkQuota,
  getNetworkQuota,
  getNetworkQuotaDetails,
  listNetworkQuotas,
  resetNetworkQuota,
  updateNetworkQuota,
} from "./quota-set.ts"
export {
  createRbacPolicies,
  deleteRbacPolicy,
  getRbacPolicy,
  listRbacPolicies,
  rbacPolicyNoun,
  updateRbacPolicy,
} from "./rbac/rbac-policy.ts"
export type { Viewer } from "./resource/viewer.ts"
export { createRouters } from "./router/create.ts"
export { deleteRouter } from "./router/delete.ts"
export { addExtraRoutes, removeExtraRoutes } from "./router/extra-routes.ts"
export { addRouterInterface, type RouterInterface, removeRouterInterface } from "./router/interface.ts"
export { getRouter, listRouters } from "./router/read.ts"
export { routerNoun } from "./router/router.ts"
export { listServiceProviders } from "./router/service-providers.ts"
export { updateRouter } from "./router/update.ts"
export {
  createDefaultSecurityGroupRules,
  defaultRuleNoun,
  deleteDefaultSecurityGroupRule,
  getDefaultSecurityGroupRule,
  listDefaultSecurityGroupRules,
} from "./security-group/default-rule.ts"
export {
  createSecurityGroups,
  deleteSecurityGroup,
  getSecurityGroup,
  listSecurityGroups,
  updateSecurityGroup,
} from "./security-group/group.ts"
export {
  createSecurityGroupRules,
  deleteSecurityGroupRule,
  getSecurityGroupRule,
  listSecurityGroupRules,
} from "./security-group/rule.ts"
export {
  type SecurityGroup,
  type SecurityGroupRule,
  securityGroupNoun,
  securityGroupRuleNoun,
} from "./security-group/security-group.ts"
export {
  attachServerInterfaces,
  awaitPlugged,
  bindServerPorts,
  detachServerInterface,
  makeServerPorts,
  releaseServerPorts,
  type ServerOfPorts,
  type ServerVif,
  settleNetwork,
} from "./server-port/ensure.ts"
export * from "./server-port/faults.ts"
export {
  type InterfaceRequest,
  type NetworksRequest,
  type PlannedServerPorts,
  planServerInterface,
  planServerPorts,
  roomForServers,
} from "./server-port/plan.ts"
export {
  listSecurityGroupsOfServer,
  listServerPorts,
  metadataNetworks,
  physicalNetworksOfServer,
  type ServerAddress,
  type ServerMetadataNetwork,
  type ServerNetworking,
  type ServerPort,
  type ServerSecurityGroup,
  serverAddresses,
  serverIdByAddress,
  serverMetadataNetworks,
  serversWithAddress,
} from "./server-port/read.ts"
export { changeServerSecurityGroup } from "./server-port/security-group.ts"
export { createSubnets } from "./subnet/create.ts"
export { deleteSubnet } from "./subnet/delete.ts"
export { getSubnet, listSubnets } from "./subnet/read.ts"
export { subnetNoun } from "./subnet/subnet.ts"
export { updateSubnet } from "./subnet/update.ts"
export {
  addPoolPrefixes,
  createSubnetPools,
  deleteSubnetPool,
  getSubnetPool,
  listSubnetPools,
  removePoolPrefixes,
  subnetPoolNoun,
  updateSubnetPool,
} from "./subnet-pool/subnet-pool.ts"
export { remoteNetworkDriver, remoteNetworkSync } from "./sync/remote.ts"
export { tagVerbs } from "./tag/tags.ts"
