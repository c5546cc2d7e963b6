// Nova's old way to security groups, until 2.35: the network service's groups, ingress rules only, in Nova's shape.
import { type Static, type TSchema, type TSchemaOptions, Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import {
  createSecurityGroupRules,
  createSecurityGroups,
  deleteSecurityGroup,
  deleteSecurityGroupRule,
  getSecurityGroup,
  listSecurityGroups,
  type SecurityGroup,
  type SecurityGroupRule,
  updateSecurityGroup,
} from "../../network/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { queryInteger, queryText } from "../../platform/http/query.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { typed } from "../../platform/schema/make.ts"
import { badRequest, isAdmin } from "../index.ts"
import { toldQuery } from "./query-names.ts"
import { bodyOf } from "./schema-parts.ts"

const { all, countOrNull, many, one, shape, text, textOrNull: textOrNone } = is

const last = "2.35"

/** What a view needs of a group and of those that its rules name. */
export type GroupNames = ReadonlyMap<string, { name: string; projectId: string }>

function portsOf(rule: SecurityGroupRule): [number | null, number | null] {
  if (rule.protocol === null || rule.portRangeMin !== null || rule.portRangeMax !== null)
    return [rule.portRangeMin, rule.portRangeMax]
  return ["tcp", "udp"].includes(rule.protocol.toLowerCase()) ? [1, 65_535] : [-1, -1]
}

function viewRule(rule: SecurityGroupRule, names: GroupNames) {
  const [from, to] = portsOf(rule)
  const source = rule.remoteGroupId === null ? undefined : names.get(rule.remoteGroupId)
  return {
    id: rule.id,
    parent_group_id: rule.securityGroupId,
    ip_protocol: rule.protocol,
    from_port: from,
    to_port: to,
    group: source ? { name: source.name, tenant_id: source.projectId } : {},
    ip_range: rule.remoteGroupId === null ? { cidr: rule.remoteIpGiven ?? anywhere(rule) } : {},
  }
}

const anywhere = (rule: SecurityGroupRule) => (rule.ethertype === "IPv6" ? "::/0" : "0.0.0.0/0")

interface ShownGroup {
  id: string
  name: string
  description: string
  projectId: string
  rules: readonly SecurityGroupRule[]
}

export function viewGroup(group: ShownGroup, names: GroupNames) {
  return {
    id: group.id,
    name: group.name,
    description: group.description,
    tenant_id: group.projectId,
    rules: group.rules.filter((rule) => rule.direction === "ingress").map((rule) => viewRule(rule, names)),
  }
}

const maybe = (members: Readonly<Record<string, TSchema>>) => Type.Union([Type.Object(members), is.noMembers])
const shownRule = shape("OldSecurityGroupRule", {
  ...{ id: text, parent_group_id: text, ip_protocol: textOrNone },
  ...{ from_port: countOrNull, to_port: countOrNull },
  ...{ group: maybe({ name: text, tenant_id: text }), ip_range: maybe({ cidr: text }) },
})
export const shownGroup = shape("OldSecurityGroup", {
  ...{ id: text, name: text, description: text, tenant_id: text, rules: many(shownRule) },
})

const shown = (group: SecurityGroup): ShownGroup => ({ ...group, rules: group.securityGroupRules })

/** Names of the groups that the rules mention. */
export async function groupNames(ctx: Ctx, rules: readonly SecurityGroupRule[]): Promise<GroupNames> {
  const ids = new Set(rules.flatMap((rule) => rule.remoteGroupId ?? []))
  if (ids.size === 0) return new Map()
  const { items } = await listSecurityGroups(ctx, { filters: { id: [...ids] } })
  return new Map(items.map((group) => [group.id, { name: group.name, projectId: group.projectId }]))
}

async function viewOne(ctx: Ctx, group: SecurityGroup) {
  return { security_group: viewGroup(shown(group), await groupNames(ctx, group.securityGroupRules)) }
}

const idOf = (req: WireRequest) => {
  const id = req.params.security_group_id ?? ""
  if (!isUuid(id)) throw badRequest(`Security group id ${id} should be a UUID.`)
  return id
}

async function list(ctx: Ctx, req: WireRequest) {
  const limit = queryInteger(req.query, "limit", { min: 0 })
  const offset = queryInteger(req.query, "offset", { min: 0 }) ?? 0
  const isOfAll = queryText(req.query, "all_tenants") !== undefined && isAdmin(ctx)
  const filters = isOfAll ? {} : { projectId: [ctx.caller.projectId ?? ""] }
  const { pageMax } = ctx.config.network
  const end = offset + Math.min(limit ?? pageMax, pageMax)
  const { items } = await listSecurityGroups(ctx, { filters, page: { limit: end } })
  const page = items.slice(offset)
  const names = await groupNames(
    ctx,
    page.flatMap((group) => group.securityGroupRules),
  )
  return {
    security_groups: page
      .map((group) => viewGroup(shown(group), names))
      .sort((a, b) => a.name.localeCompare(b.name)),
  }
}

const textOrNull = (options: TSchemaOptions = {}) => typed(["string", "null"], options)
const groupBody = bodyOf(
  "security_group",
  {
    name: Type.String({ minLength: 1, maxLength: 255, pattern: "^(?!\\s+$)" }),
    description: textOrNull({ maxLength: 255 }),
  },
  ["name", "description"],
)

const port = typed(["integer", "string", "null"], { pattern: "^-?[0-9]+$" })
const ruleBody = bodyOf(
  "security_group_rule",
  {
    parent_group_id: Type.String(),
    group_id: textOrNull(),
    ip_protocol: textOrNull(),
    from_port: port,
    to_port: port,
    cidr: textOrNull(),
  },
  ["parent_group_id"],
)

async function createRule(ctx: Ctx, req: WireRequest<Static<typeof ruleBody>>) {
  const body = req.body.security_group_rule
  if (!isUuid(body.parent_group_id))
    throw badRequest(`Security group id ${body.parent_group_id} should be a UUID.`)
  const { group_id, ip_protocol, from_port, to_port } = body
  if (!group_id && (!ip_protocol || from_port === undefined || to_port === undefined))
    throw badRequest("Not enough parameters to build a valid rule.")
  const number = (value: number | string | null | undefined) =>
    value === null || value === undefined || Number(value) === -1 ? null : Number(value)
  const cidr = group_id ? null : (body.cidr ?? "0.0.0.0/0")
  const [made] = await createSecurityGroupRules(ctx, {
    items: [
      {
        securityGroupId: body.parent_group_id,
        direction: "ingress",
        ethertype: cidr?.includes(":") ? "IPv6" : "IPv4",
        protocol: ip_protocol?.toLowerCase() ?? null,
        portRangeMin: number(from_port),
        portRangeMax: number(to_port),
        remoteIpPrefix: cidr,
        remoteGroupId: group_id ?? null,
      },
    ],
  })
  if (!made) throw badRequest("Not enough parameters to build a valid rule.")
  return { security_group_rule: viewRule(made, await groupNames(ctx, [made])) }
}

export const securityGroupRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-security-groups",
    max: last,
    operation: listSecurityGroups,
    told: { ...toldQuery(["limit", "offset", "all_tenants"]), ...all("security_groups", shownGroup) },
    handler: list,
  }),
  route({
    method: "POST",
    path: "/os-security-groups",
    max: last,
    operation: createSecurityGroups,
    alsoAsks: listSecurityGroups,
    body: groupBody,
    told: one("security_group", shownGroup),
    handler: async (ctx, req) => {
      const { name, description } = req.body.security_group
      const [made] = await createSecurityGroups(ctx, {
        items: [{ name, description: description ?? "" }],
      })
      return made && (await viewOne(ctx, made))
    },
  }),
  route({
    method: "GET",
    path: "/os-security-groups/{security_group_id}",
    max: last,
    operation: [getSecurityGroup, listSecurityGroups],
    told: one("security_group", shownGroup),
    handler: async (ctx, req) => {
      const group = await getSecurityGroup(ctx, { id: idOf(req) })
      return await viewOne(ctx, group)
    },
  }),
  route({
    method: "PUT",
    path: "/os-security-groups/{security_group_id}",
    max: last,
    operation: updateSecurityGroup,
    alsoAsks: listSecurityGroups,
    body: groupBody,
    told: one("security_group", shownGroup),
    handler: async (ctx, req) => {
      const { name, description } = req.body.security_group
      const group = await updateSecurityGroup(ctx, {
        id: idOf(req),
        changes: { name, description: description ?? "" },
      })
      return await viewOne(ctx, group)
    },
  }),
  route({
    method: "DELETE",
    path: "/os-security-groups/{security_group_id}",
    max: last,
    operation: deleteSecurityGroup,
    status: 202,
    handler: (ctx, req) => deleteSecurityGroup(ctx, { id: idOf(req) }),
  }),
  route({
    method: "POST",
    path: "/os-security-group-rules",
    max: last,
    operation: createSecurityGroupRules,
    alsoAsks: listSecurityGroups,
    body: ruleBody,
    told: one("security_group_rule", shownRule),
    handler: createRule,
  }),
  route({
    method: "DELETE",
    path: "/os-security-group-rules/{rule_id}",
    max: last,
    operation: deleteSecurityGroupRule,
    status: 202,
    handler: async (ctx, req) => {
      const id = req.params.rule_id ?? ""
      if (!isUuid(id)) throw badRequest(`Security group rule id ${id} should be a UUID.`)
      await deleteSecurityGroupRule(ctx, { id })
      return reply(202)
    },
  }),
]
