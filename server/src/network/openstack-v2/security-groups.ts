import {
  createDefaultSecurityGroupRules,
  createSecurityGroupRules,
  createSecurityGroups,
  defaultRuleNoun,
  deleteDefaultSecurityGroupRule,
  deleteSecurityGroup,
  deleteSecurityGroupRule,
  getDefaultSecurityGroupRule,
  getSecurityGroup,
  getSecurityGroupRule,
  listDefaultSecurityGroupRules,
  listSecurityGroupRules,
  listSecurityGroups,
  securityGroupNoun,
  securityGroupRuleNoun,
  updateSecurityGroup,
} from "../index.ts"
import { viewThing } from "./attributes.ts"
import { badRequest } from "./bad-request.ts"
import { shownSchema } from "./describe.ts"
import { integer, type Kind, orNull, text } from "./kinds.ts"
import { resource, resourceRoutes } from "./resource.ts"

/** In any case of letters; kept as Neutron writes it. */
const ethertype: Kind = {
  schema: { type: "string", enum: ["IPv4", "IPv6"] },
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
  schema: { type: ["string", "integer", "null"] },
  read: (value, name) => (typeof value === "number" ? String(value) : orNull(text()).read(value, name)),
}

const portNumber: Kind = {
  ...orNull(integer),
  read: (value) => {
    if (value === null || value === "") return null
    if (typeof value === "number" && Number.isSafeInteger(value)) return value
    if (typeof value === "string" && /^-?\d{1,9}$/.test(value)) return Number(value)
    throw badRequest(`Invalid value for port ${String(value)}`, "SecurityGroupInvalidPortValue")
  },
}

/** An empty text says nothing. */
const prefixText: Kind = {
  schema: orNull(text()).schema,
  read: (value, name) => (value === "" ? null : orNull(text()).read(value, name)),
}

/** Null says nothing, as the empty text does. */
const descriptionText: Kind = {
  ...orNull(text()),
  read: (value, name) => (value === null ? "" : text().read(value, name)),
}

const ruleKinds = {
  description: { kind: descriptionText },
  ethertype: { kind: ethertype },
  protocol: { kind: protocol },
  port_range_min: { kind: portNumber },
  port_range_max: { kind: portNumber },
  remote_ip_prefix: { kind: prefixText },
  remote_group_id: { kind: orNull(text()) },
}

const securityGroupRules = resource({
  noun: securityGroupRuleNoun,
  singular: "security_group_rule",
  particulars: {
    ...ruleKinds,
    remote_ip_prefix: { kind: prefixText, view: (rule) => rule.remoteIpGiven },
    normalized_cidr: { shows: prefixText.schema, view: (rule) => rule.remoteIpPrefix },
  },
  list: listSecurityGroupRules,
  get: getSecurityGroupRule,
  create: createSecurityGroupRules,
  remove: deleteSecurityGroupRule,
})

export const securityGroups = resource({
  noun: securityGroupNoun,
  singular: "security_group",
  particulars: {
    security_group_rules: {
      shows: { type: "array", items: shownSchema(securityGroupRules) },
      view: (group, ctx) =>
        group.securityGroupRules.map((rule) =>
          viewThing(ctx, rule, securityGroupRules.attributes, undefined, undefined),
        ),
    },
  },
  list: listSecurityGroups,
  get: getSecurityGroup,
  create: createSecurityGroups,
  update: updateSecurityGroup,
  remove: deleteSecurityGroup,
})

const defaultRules = resource({
  noun: defaultRuleNoun,
  singular: "default_security_group_rule",
  particulars: ruleKinds,
  list: listDefaultSecurityGroupRules,
  get: getDefaultSecurityGroupRule,
  create: createDefaultSecurityGroupRules,
  remove: deleteDefaultSecurityGroupRule,
})

export const securityGroupRoutes = [
  ...resourceRoutes(securityGroups),
  ...resourceRoutes(securityGroupRules),
  ...resourceRoutes(defaultRules),
]
