// What a rule may say. Pure; the faults carry Neutron's type names.

import { formatPrefix, parsePrefix } from "../../platform/net/address.ts"
import { badRule } from "../faults.ts"
import { protocolNumber, protocolNumbers } from "../protocol.ts"

const portProtocols = new Set([6, 17, 33, 132, 136])
/** By number, so that names and numbers of a protocol are one. */
const ipv6Only = new Set([41, 43, 44, 58, 59, 60])
const portMax = 65_535

export interface RuleRequest {
  direction: "ingress" | "egress"
  ethertype: "IPv4" | "IPv6"
  protocol: string | null
  portRangeMin: number | null
  portRangeMax: number | null
  remoteIpPrefix: string | null
  remoteGroupId: string | null
  remoteAddressGroupId: string | null
}

/** The rule as it is kept: the protocol in lower case (null for any), the prefix without host bits. */
export function checkRule(rule: RuleRequest): RuleRequest {
  const protocol = canonicalProtocol(checkProtocol(rule.protocol), rule.ethertype)
  const isWhole = rule.portRangeMin === 1 && rule.portRangeMax === portMax
  const ports = isWhole ? { portRangeMin: null, portRangeMax: null } : {}
  const remotes = [rule.remoteIpPrefix, rule.remoteGroupId, rule.remoteAddressGroupId].filter(
    (r) => r !== null,
  )
  if (remotes.length > 1) {
    throw badRule(
      "SecurityGroupMultipleRemoteEntites",
      "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
    )
  }
  if (protocol !== null && ipv6Only.has(protocolNumber(protocol)) && rule.ethertype === "IPv4") {
    throw badRule(
      "SecurityGroupEthertypeConflictWithProtocol",
      `Invalid ethertype ${rule.ethertype} for protocol ${protocol}.`,
    )
  }
  checkPorts({ ...rule, ...ports, protocol })
  return { ...rule, ...ports, protocol, remoteIpPrefix: checkPrefix(rule) }
}

/** ICMP of IPv6 has several names of older days; one is kept. */
function canonicalProtocol(protocol: string | null, ethertype: RuleRequest["ethertype"]): string | null {
  if (ethertype === "IPv4" || protocol === null) return protocol
  if (protocol === "icmp" || protocol === "icmpv6") return "ipv6-icmp"
  return protocol === "1" ? "58" : protocol
}

/** All the names and the number that say the same protocol as this. */
export function spellingsOf(protocol: string): string[] {
  const number = protocolNumber(protocol)
  const names = Object.entries(protocolNumbers).filter(([, each]) => each === number)
  return [String(number), ...names.map(([name]) => name)]
}

function checkProtocol(text: string | null): string | null {
  if (text === null) return null
  const protocol = text.toLowerCase()
  if (protocol === "any") return null
  const isNumber = /^\d{1,3}$/.test(protocol) && Number(protocol) <= 255
  if (isNumber || Object.hasOwn(protocolNumbers, protocol)) return protocol
  throw badRule(
    "SecurityGroupRuleInvalidProtocol",
    `Security group rule protocol ${text} not supported. Only protocol values ${Object.keys(protocolNumbers).join(", ")} and integer representations [0 to 255] are supported.`,
  )
}

function checkPrefix(rule: RuleRequest): string | null {
  if (rule.remoteIpPrefix === null) return null
  const prefix = parsePrefix(rule.remoteIpPrefix)
  if (!prefix) throw badRule("InvalidCIDR", `Invalid CIDR ${rule.remoteIpPrefix} given as IP prefix.`)
  if (prefix.version !== (rule.ethertype === "IPv4" ? 4 : 6)) {
    throw badRule(
      "SecurityGroupRuleParameterConflict",
      `Conflicting value ethertype ${rule.ethertype} for CIDR ${rule.remoteIpPrefix}`,
    )
  }
  return formatPrefix(prefix)
}

function checkPorts(rule: RuleRequest): void {
  const { protocol, portRangeMin: min, portRangeMax: max } = rule
  if (min === null && max === null) return
  if (protocol === null) {
    throw badRule(
      "SecurityGroupProtocolRequiredWithPorts",
      "Must also specify protocol if port range is given.",
    )
  }
  const number = protocolNumber(protocol)
  if (number === 1 || number === 58) {
    checkIcmp(min, max)
    return
  }
  if (!portProtocols.has(number)) {
    throw badRule(
      "SecurityGroupInvalidProtocolForPort",
      `Ports cannot be specified for protocol ${protocol}. Ports are only supported for TCP, UDP, UDP-Lite, SCTP and DCCP.`,
    )
  }
  for (const port of [min, max]) {
    if (port !== null && (port < 0 || port > portMax))
      throw badRule("SecurityGroupInvalidPortValue", `Invalid value for port ${port}`)
  }
  if (min === 0 || max === 0) {
    // Port 0 is no port of these protocols.
    throw badRule("SecurityGroupInvalidPortValue", "Invalid value for port 0")
  }
  if (min === null || max === null || min > max) {
    throw badRule(
      "SecurityGroupInvalidPortRange",
      "For TCP/UDP protocols, port_range_min must be <= port_range_max",
    )
  }
}

function checkIcmp(type: number | null, code: number | null): void {
  for (const [attribute, field, value] of [
    ["port_range_min", "type", type],
    ["port_range_max", "code", code],
  ] as const) {
    if (value !== null && (value < 0 || value > 255)) {
      throw badRule(
        "SecurityGroupInvalidIcmpValue",
        `Invalid value for ICMP ${field} (${attribute}) ${value}. It must be 0 to 255.`,
      )
    }
  }
  if (type === null && code !== null) {
    throw badRule(
      "SecurityGroupMissingIcmpType",
      `ICMP code (port-range-max) ${code} is provided but ICMP type (port-range-min) is missing.`,
    )
  }
}
