import { Type } from "typebox"
import { count, until as ended, one, shape } from "../../api/openstack/shape.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { queryText } from "../../platform/http/query.ts"
import { type Route, route } from "../../platform/http/wire.ts"
import { anyObject } from "../../platform/schema/make.ts"
import { type QuotaDetail, type QuotaResource, showLimits } from "../index.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"

const limitNames: readonly (readonly [name: string, resource: QuotaResource, until?: string])[] = [
  ["maxTotalInstances", "instances"],
  ["maxTotalCores", "cores"],
  ["maxTotalRAMSize", "ram"],
  ["maxServerMeta", "metadata_items"],
  ["maxImageMeta", "metadata_items", "2.39"],
  ["maxTotalKeypairs", "key_pairs"],
  ["maxServerGroups", "server_groups"],
  ["maxServerGroupMembers", "server_group_members"],
  ["maxPersonality", "injected_files", "2.57"],
  ["maxPersonalitySize", "injected_file_content_bytes", "2.57"],
  ["maxTotalFloatingIps", "floating_ips", "2.36"],
  ["maxSecurityGroups", "security_groups", "2.36"],
  ["maxSecurityGroupRules", "security_group_rules", "2.36"],
]
const usedNames: readonly (readonly [name: string, resource: QuotaResource, until?: string])[] = [
  ["totalInstancesUsed", "instances"],
  ["totalCoresUsed", "cores"],
  ["totalRAMUsed", "ram"],
  ["totalServerGroupsUsed", "server_groups"],
  ["totalFloatingIpsUsed", "floating_ips", "2.36"],
  ["totalSecurityGroupsUsed", "security_groups", "2.36"],
]

function viewLimits(version: Microversion, detail: QuotaDetail): Record<string, number> {
  const absolute: Record<string, number> = {}
  const isShown = (until: string | undefined) => until === undefined || !atLeast(version, until)
  for (const [name, resource, until] of limitNames)
    if (isShown(until)) absolute[name] = detail.limits[resource]
  for (const [name, resource, until] of usedNames) if (isShown(until)) absolute[name] = detail.used[resource]
  return absolute
}

const members = [...limitNames, ...usedNames].map(
  ([name, , until]) => [name, until === undefined ? count : ended(until, count)] as const,
)
const absolute = shape("AbsoluteLimits", Object.fromEntries(members))
const limits = shape("Limits", { rate: Type.Array(anyObject, { maxItems: 0 }), absolute })

const parameters = ["tenant_id"]

export const limitRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/limits",
    operation: showLimits,
    told: { ...toldQuery(parameters), ...one("limits", limits) },
    handler: async (ctx, req) => {
      checkQueryNames(req, parameters)
      // `reserved` of old clients changes nothing: nothing is reserved.
      const detail = await showLimits(ctx, { projectId: queryText(req.query, "tenant_id") ?? null })
      return { limits: { rate: [], absolute: viewLimits(req.version, detail) } }
    },
  }),
]
