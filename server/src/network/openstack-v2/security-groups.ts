import type { Ctx } from "../../platform/context/context.ts"
import {
  createDefaultSecurityGroupRules,
  createSecurityGroupRules,
  createSecurityGroups,
  type DefaultSecurityGroupRule,
  deleteDefaultSecurityGroupRule,
  deleteSecurityGroup,
  deleteSecurityGroupRule,
  getDefaultSecurityGroupRule,
  getSecurityGroup,
  getSecurityGroupRule,
  listDefaultSecurityGroupRules,
  listSecurityGroupRules,
  listSecurityGroups,
  type SecurityGroup,
  type SecurityGroupRule,
  updateSecurityGroup,
} from "../index.ts"
import { type Attributes, badRequest, standardAttributes, viewThing } from "./attributes.ts"
import { boolean, integer, type Kind, oneOf, orNull, shown, standardKinds, text, uuid } from "./kinds.ts"
import { type Resource, resourceRoutes } from "./resource.ts"

/** In any case of letters; kept as Neutron writes it. */
const ethertype: Kind = {
  read: (value) => {
    const found = ["IPv4", "IPv6"].find((type) => type.toLowerCase() === String(value).toLowerCase())
    if (!found) {
      throw badRequest(
        `Security group rule for ethertype '${String(value)}' not supported. Allowed values are ['IPv4', 'IPv6'].`,
        "SecurityGroupRuleInvalidEtherType",
      )
    }
    return found
  },
}

/** Names and numbers; a number may come as one. */
const protocol: Kind = {
  read: (value, name) => (typeof value === "number" ? String(value) : orNull(text()).read(value, name)),
}

const portNumber: Kind = {
  ...integer,
  read: (value) => {
    if (value === null || value === "") return null
    if (typeof value === "number" && Number.isSafeInteger(value)) return value
    if (typeof value === "string" && /^-?\d{1,9}$/.test(value)) return Number(value)
    throw badRequest(`Invalid value for port ${String(value)}`, "SecurityGroupInvalidPortValue")
  },
}

/** An empty text says nothing. */
const prefixText: Kind = {
  read: (value, name) => (value === "" ? null : orNull(text()).read(value, name)),
}

const ruleAttributes: Attributes = {
  ...standardAttributes(standardKinds, { tags: false }),
  description: { kind: orNull(text()), post: true, filter: true, sort: true },
  security_group_id: { kind: uuid, post: true, required: true, filter: true, sort: true },
  direction: { kind: oneOf(["ingress", "egress"]), post: true, required: true, filter: true, sort: true },
  ethertype: { kind: ethertype, post: true, filter: true, sort: true },
  protocol: { kind: protocol, post: true, filter: true, sort: true },
  port_range_min: { kind: portNumber, post: true, filter: true, sort: true },
  port_range_max: { kind: portNumber, post: true, filter: true, sort: true },
  remote_ip_prefix: {
    kind: prefixText,
    post: true,
    filter: true,
    sort: true,
    // The rules of the template keep what counts only.
    view: (rule: Partial<SecurityGroupRule>) => rule.remoteIpGiven ?? rule.remoteIpPrefix,
  },
  remote_group_id: { kind: orNull(text()), post: true, filter: true, sort: true },
  remote_address_group_id: { kind: orNull(uuid), post: true, filter: true, sort: true },
  normalized_cidr: { kind: shown, view: (rule: SecurityGroupRule) => rule.remoteIpPrefix },
  belongs_to_default_sg: { kind: boolean, filter: true },
}

const groupAttributes: Attributes = {
  ...standardAttributes(standardKinds, { description: text() }),
  name: { kind: text(), post: true, put: true, filter: true, sort: true },
  stateful: { kind: boolean, post: true, put: true, filter: true },
  shared: { kind: boolean, filter: true },
  security_group_rules: {
    kind: shown,
    view: (group: SecurityGroup, ctx: Ctx) =>
      group.securityGroupRules.map((rule) => viewThing(ctx, rule, ruleAttributes, undefined, undefined)),
  },
}

export const securityGroups: Resource<SecurityGroup> = {
  singular: "security_group",
  plural: "security_groups",
  path: "/security-groups",
  operations: {
    get: getSecurityGroup,
    create: createSecurityGroups,
    update: updateSecurityGroup,
    remove: deleteSecurityGroup,
  },
  attributes: groupAttributes,
  list: listSecurityGroups,
  get: (ctx, securityGroupId) => getSecurityGroup(ctx, { securityGroupId }),
  create: (ctx, inputs) => createSecurityGroups(ctx, { securityGroups: inputs }),
  update: (ctx, securityGroupId, changes, expected) =>
    updateSecurityGroup(ctx, { securityGroupId, changes, ...expected }),
  remove: (ctx, securityGroupId, expected) => deleteSecurityGroup(ctx, { securityGroupId, ...expected }),
}

const securityGroupRules: Resource<SecurityGroupRule> = {
  singular: "security_group_rule",
  plural: "security_group_rules",
  path: "/security-group-rules",
  operations: {
    get: getSecurityGroupRule,
    create: createSecurityGroupRules,
    remove: deleteSecurityGroupRule,
  },
  attributes: ruleAttributes,
  list: listSecurityGroupRules,
  get: (ctx, ruleId) => getSecurityGroupRule(ctx, { ruleId }),
  create: (ctx, inputs) => createSecurityGroupRules(ctx, { rules: inputs.map(withoutNullDescription) }),
  remove: (ctx, ruleId) => deleteSecurityGroupRule(ctx, { ruleId }),
}

// biome-ignore lint/suspicious/noExplicitAny: read by the attributes above
function withoutNullDescription(input: any) {
  return input.description === null ? { ...input, description: "" } : input
}

const defaultRules: Resource<DefaultSecurityGroupRule> = {
  singular: "default_security_group_rule",
  plural: "default_security_group_rules",
  path: "/default-security-group-rules",
  operations: {
    get: getDefaultSecurityGroupRule,
    create: createDefaultSecurityGroupRules,
    remove: deleteDefaultSecurityGroupRule,
  },
  attributes: {
    ...shared(ruleAttributes, [
      "id",
      "description",
      "direction",
      "ethertype",
      "protocol",
      "port_range_min",
      "port_range_max",
      "remote_ip_prefix",
      "remote_group_id",
      "remote_address_group_id",
    ]),
    used_in_default_sg: { kind: boolean, post: true, filter: true },
    used_in_non_default_sg: { kind: boolean, post: true, filter: true },
  },
  list: listDefaultSecurityGroupRules,
  get: (ctx, ruleId) => getDefaultSecurityGroupRule(ctx, { ruleId }),
  create: (ctx, inputs) =>
    createDefaultSecurityGroupRules(ctx, { rules: inputs.map(withoutNullDescription) }),
  remove: (ctx, ruleId) => deleteDefaultSecurityGroupRule(ctx, { ruleId }),
}

/** Those of the attributes. */
function shared(attributes: Attributes, names: readonly string[]): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => names.includes(name)))
}

export const securityGroupRoutes = [
  ...resourceRoutes(securityGroups),
  ...resourceRoutes(securityGroupRules),
  ...resourceRoutes(defaultRules),
]
