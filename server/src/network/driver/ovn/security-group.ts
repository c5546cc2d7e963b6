// Security groups as port groups with ACLs. Every port with port security is in the drop group, which lets nothing
// through but what a port needs to get an address; each group it is in lets more through. A remote group is the
// address set that OVN itself keeps for a port group ($NAME_ip4, $NAME_ip6).
import { protocolNumber } from "../../protocol.ts"
import type { WantSecurityGroup, WantSecurityGroupRule } from "../network-driver.ts"
import { type DesiredRow, ownerOf } from "./row.ts"

const dropPriority = 1001
const allowPriority = 1002

export const dropGroupId = "drop"

export function portGroupName(securityGroupId: string): string {
  return `pg_${securityGroupId.replaceAll("-", "_")}`
}

export function groupRows(group: WantSecurityGroup): DesiredRow[] {
  const name = portGroupName(group.id)
  const owner = ownerOf("securityGroups", group.id)
  const rows: DesiredRow[] = [{ table: "Port_Group", id: group.id, owner, columns: { name } }]
  for (const rule of group.rules) {
    const match = ruleMatch(rule, name)
    if (match === undefined) continue
    const direction = rule.direction === "ingress" ? "to-lport" : "from-lport"
    const action = group.isStateful ? "allow-related" : "allow-stateless"
    rows.push({
      table: "ACL",
      id: rule.id,
      owner,
      columns: { direction, priority: allowPriority, action, match },
      places: [inGroup(group.id)],
    })
  }
  return rows
}

const inGroup = (id: string) => ({ table: "Port_Group", id, column: "acls" }) as const

/** There as long as there is a network. */
export function dropGroupRows(cloudId: string): DesiredRow[] {
  const name = `kumoi_drop_${cloudId}`
  const owner = ownerOf("cloud", dropGroupId)
  const acl = (
    id: string,
    direction: string,
    priority: number,
    action: string,
    match: string,
  ): DesiredRow => ({
    table: "ACL",
    id: `drop-${id}`,
    owner,
    columns: { direction, priority, action, match },
    places: [inGroup(dropGroupId)],
  })
  const into = `outport == @${name}`
  const outOf = `inport == @${name}`
  return [
    { table: "Port_Group", id: dropGroupId, owner, columns: { name } },
    acl("in", "to-lport", dropPriority, "drop", `${into} && ip`),
    acl("out", "from-lport", dropPriority, "drop", `${outOf} && ip`),
    acl("dhcp4", "from-lport", allowPriority, "allow", `${outOf} && ip4 && udp.src == 68 && udp.dst == 67`),
    acl("dhcp6", "from-lport", allowPriority, "allow", `${outOf} && ip6 && udp.src == 546 && udp.dst == 547`),
    // Neighbour discovery and multicast membership: IPv6's ARP. A port may ask for routers, never announce one.
    acl(
      "nd-out",
      "from-lport",
      allowPriority,
      "allow",
      `${outOf} && icmp6.type == {131, 132, 133, 135, 136, 143}`,
    ),
    acl("nd-in", "to-lport", allowPriority, "allow", `${into} && icmp6.type == {130, 134, 135, 136}`),
  ]
}

const withPorts: Record<number, string> = { 6: "tcp", 17: "udp", 132: "sctp" }

/** OVN's expression for a rule; undefined for one that can match nothing here, so that nothing is let through. */
export function ruleMatch(rule: WantSecurityGroupRule, portGroup: string): string | undefined {
  const isIngress = rule.direction === "ingress"
  const family = rule.ethertype === "IPv4" ? "ip4" : "ip6"
  const remote = `${family}.${isIngress ? "src" : "dst"}`
  const terms = [isIngress ? `outport == @${portGroup}` : `inport == @${portGroup}`, family]
  if (rule.remoteGroupId !== null) {
    terms.push(`${remote} == $${portGroupName(rule.remoteGroupId)}_${family}`)
  } else if (rule.remoteIpPrefix !== null && !rule.remoteIpPrefix.endsWith("/0")) {
    if (rule.remoteIpPrefix.includes(":") !== (family === "ip6")) return undefined
    terms.push(`${remote} == ${rule.remoteIpPrefix}`)
  }
  const protocol = protocolTerms(rule)
  return protocol && [...terms, ...protocol].join(" && ")
}

function protocolTerms(rule: WantSecurityGroupRule): string[] | undefined {
  const { protocol, portRangeMin: min, portRangeMax: max } = rule
  if (protocol === null || protocol === "any") return []
  const number = protocolNumber(protocol.toLowerCase())
  if (number === 0) return []
  if (!Number.isInteger(number) || number < 0 || number > 255) return undefined
  // Whoever writes "icmp" on an IPv6 rule means the ICMP of IPv6.
  if (number === 58 || number === 1) {
    const name = rule.ethertype === "IPv4" ? "icmp4" : "icmp6"
    const terms = min === null ? [] : [`${name}.type == ${min}`]
    if (max !== null) terms.push(`${name}.code == ${max}`)
    return [name, ...orLaterFragment(terms)]
  }
  const name = withPorts[number]
  if (name === undefined) return min === null && max === null ? [`ip.proto == ${number}`] : undefined
  if (min !== null && min === max) return [name, ...orLaterFragment([`${name}.dst == ${min}`])]
  const terms = min === null ? [] : [`${name}.dst >= ${min}`]
  if (max !== null) terms.push(`${name}.dst <= ${max}`)
  return [name, ...orLaterFragment(terms)]
}

/**
 * In user space each fragment of a datagram is looked at, when all are there; ports and types stand in the first one
 * alone. The others may follow it: without the first one nobody can make anything of them.
 */
function orLaterFragment(terms: readonly string[]): string[] {
  return terms.length === 0
    ? []
    : [`(${terms.length > 1 ? `(${terms.join(" && ")})` : terms[0]} || ip.later_frag)`]
}
