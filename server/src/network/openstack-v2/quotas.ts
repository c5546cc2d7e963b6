import { Type } from "typebox"
import { all, count, each, one, shape, text, textOrNull } from "../../api/openstack/shape.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  getDefaultNetworkQuota,
  getNetworkQuota,
  getNetworkQuotaDetails,
  listNetworkQuotas,
  quotaResources,
  resetNetworkQuota,
  updateNetworkQuota,
} from "../index.ts"
import { badRequest } from "./bad-request.ts"
import { wrapped } from "./describe.ts"
import { boolean, integer } from "./kinds.ts"

const projectOf = (req: WireRequest) => ({ projectId: req.params.project_id ?? "" })

const limit = { title: "Limit", ...integer.schema, minimum: -1, maximum: 2_147_483_647 }
const limits = Object.fromEntries(quotaResources.map((name) => [name, limit]))
const shown = one("quota", shape("Quota", limits))
const quotas = all("quotas", shape("ProjectQuota", { ...limits, ...each("tenant_id project_id", text) }))
const use = shape("QuotaUse", each("limit used reserved", count))
const detailed = one("quota", shape("QuotaDetails", each(quotaResources.join(" "), use)))
/** Whose the token is. */
const asked = (word: string) => one(word, Type.Object({ [`${word}_id`]: textOrNull })).answer
const shownOrAsked = { answer: Type.Union([shown.answer, asked("tenant"), asked("project")]) }

/** Limits by resource, -1 for none; and that they hold though more is used. */
const quotaGiven = {
  type: "object",
  properties: { ...limits, force: boolean.schema, check_limit: boolean.schema },
}

function readQuota(body: unknown): { limits: Record<string, number>; isForced: boolean } {
  const quota: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "quota") : undefined
  if (typeof quota !== "object" || quota === null) throw badRequest("Unable to find 'quota' in request body")
  const limits: Record<string, number> = {}
  let isForced = false
  for (const [name, value] of Object.entries(quota)) {
    // Usage is checked anyway; `check_limit` is a word of before that.
    if (name === "tenant_id" || name === "project_id" || name === "check_limit") continue
    if (name === "force") {
      isForced = boolean.read(value, name) === true
      continue
    }
    const limit = Number(integer.read(value, name))
    if (limit < -1 || limit > 2_147_483_647)
      throw badRequest(`Invalid input for ${name}. Reason: '${limit}' is not in the range -1 to 2147483647.`)
    limits[name] = limit
  }
  return { limits, isForced }
}

const details = (path: string): Route =>
  route({
    method: "GET",
    path,
    operation: getNetworkQuotaDetails,
    told: detailed,
    handler: async (ctx, req) => ({ quota: await getNetworkQuotaDetails(ctx, projectOf(req)) }),
  })

export const quotaRoutes: Route[] = [
  route({
    method: "GET",
    path: "/quotas",
    operation: listNetworkQuotas,
    told: quotas,
    handler: async (ctx) => ({
      quotas: (await listNetworkQuotas(ctx, {})).map(({ projectId, limits }) => ({
        ...limits,
        tenant_id: projectId,
        project_id: projectId,
      })),
    }),
  }),
  route({
    method: "GET",
    path: "/quotas/{project_id}",
    operation: getNetworkQuota,
    told: shownOrAsked,
    handler: async (ctx, req) => {
      // These two ids ask whose the token is.
      const word = req.params.project_id
      if (word === "tenant" || word === "project") return { [word]: { [`${word}_id`]: ctx.caller.projectId } }
      return { quota: await getNetworkQuota(ctx, projectOf(req)) }
    },
  }),
  route({
    method: "GET",
    path: "/quotas/{project_id}/default",
    operation: getDefaultNetworkQuota,
    told: shown,
    handler: async (ctx, req) => ({ quota: await getDefaultNetworkQuota(ctx, projectOf(req)) }),
  }),
  details("/quotas/{project_id}/details"),
  // The old client writes the format into the path.
  details("/quotas/{project_id}/details.json"),
  route({
    method: "PUT",
    path: "/quotas/{project_id}",
    operation: updateNetworkQuota,
    told: { body: wrapped("quota", quotaGiven), ...shown },
    handler: async (ctx, req) => ({
      quota: await updateNetworkQuota(ctx, { ...projectOf(req), ...readQuota(req.body) }),
    }),
  }),
  route({
    method: "DELETE",
    path: "/quotas/{project_id}",
    operation: resetNetworkQuota,
    handler: async (ctx, req) => await resetNetworkQuota(ctx, projectOf(req)),
  }),
]
