// Refusals of quality of service.
import { fault } from "../../platform/fault/fault.ts"

export const qosPolicyNotFound = fault(
  "not_found",
  "network.qos_policy.not_found",
  (id: string) => `QoS policy ${id} could not be found.`,
)
export const qosRuleNotFound = fault(
  "not_found",
  "network.qos_rule.not_found",
  (ruleId: string, policyId?: string) =>
    policyId === undefined
      ? `QoS rule ${ruleId} could not be found.`
      : `QoS rule ${ruleId} for policy ${policyId} could not be found.`,
)
export const qosRuleTypeNotFound = fault(
  "not_found",
  "network.qos_rule_type.not_found",
  (type: string, types: readonly string[]) =>
    `QoS rule type ${type} could not be found. There are: ${types.join(", ")}.`,
)
export const qosPolicyInUse = fault(
  "conflict",
  "network.qos_policy.in_use",
  (policyId: string, noun: string, id: string) => `QoS Policy ${policyId} is used by ${noun} ${id}.`,
)
export const qosDefaultExists = fault(
  "conflict",
  "network.qos_policy.default_exists",
  (projectId: string) => `A default QoS policy exists for project ${projectId}.`,
)
export const qosRulesConflict = fault(
  "conflict",
  "network.qos_rule.conflict",
  (type: string, ruleId: string, policyId: string) =>
    `Rule ${type} conflicts with rule ${ruleId} which already exists in QoS Policy ${policyId}.`,
)
export const qosParameterConflict = fault(
  "conflict",
  "network.qos_rule.parameter_conflict",
  (value: number, policyId: string, type: string, existing: number) =>
    `Unable to add the rule with value ${value} to the policy ${policyId} as the existing rule of type ${type} restricts the bandwidth to ${existing}.`,
)
/** `port` and its like, with the id where there is one. */
export const qosRuleNotSupported = fault(
  "conflict",
  "network.qos_rule.not_supported",
  (type: string, user: string) => `Rule ${type} is not supported by ${user}`,
)
export const qosRuleNotSupportedByNetwork = fault(
  "conflict",
  "network.qos_rule.not_supported_by_network",
  (type: string, networkId: string) => `Rule ${type} is not supported by network ${networkId}`,
)
export const qosRemovalForbidden = fault(
  "forbidden",
  "network.qos_policy.removal_forbidden",
  (policyId: string) => `Failed to remove provided policy ${policyId} because you are not authorized.`,
)
