import { Type } from "typebox"
import { count, one, shape, text } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { queryText } from "../../platform/http/query.ts"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  deleteQuota,
  type QuotaDetail,
  type QuotaResource,
  showDefaultQuota,
  showQuota,
  showQuotaDetail,
  updateQuota,
} from "../index.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"
import {
  all,
  limitProperties,
  modern,
  pick,
  quotaResourcesAt,
  readLimits,
  shownLimits,
  withoutNetworks,
} from "./quota-resources.ts"
import { bodyOf, boolean, readBoolean } from "./schema-parts.ts"

const networksEnd = "2.36"
const path = "/os-quota-sets/{project_id}"

const projectOf = (req: WireRequest) => req.params.project_id ?? ""
const shownAt = (req: WireRequest) => quotaResourcesAt(req.version, networksEnd)

const members = shownLimits(networksEnd)
const quotaSet = one("quota_set", shape("QuotaSet", { id: text, ...members }))
const usage = Type.Object({ limit: count, in_use: count, reserved: count }, { title: "QuotaUsage" })
const detail = shape("QuotaSetDetail", { id: text, ...shownLimits(networksEnd, usage) })

const parameters = ["user_id"]
const told = toldQuery(parameters)

function userOf(req: WireRequest): string | null {
  checkQueryNames(req, parameters)
  return queryText(req.query, "user_id") ?? null
}

function viewDetail(detail: QuotaDetail, resources: readonly QuotaResource[]) {
  return Object.fromEntries(
    resources.map((resource) => [
      resource,
      { limit: detail.limits[resource], in_use: detail.used[resource], reserved: 0 },
    ]),
  )
}

const bodyFor = (resources: readonly QuotaResource[]) =>
  bodyOf("quota_set", { ...limitProperties(resources), force: boolean })

const updateBody = versions({
  "2.1": bodyFor(all),
  [networksEnd]: bodyFor(withoutNetworks),
  "2.57": bodyFor(modern),
})

async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const body = req.body.quota_set
  const limits = await updateQuota(ctx, {
    projectId: projectOf(req),
    userId: userOf(req),
    limits: readLimits(body),
    isForced: readBoolean(body.force),
  })
  return { quota_set: pick(limits, shownAt(req)) }
}

export const quotaSetRoutes: readonly Route[] = [
  route({
    method: "GET",
    path,
    operation: showQuota,
    told: { ...told, ...quotaSet },
    handler: async (ctx, req) => {
      const limits = await showQuota(ctx, { projectId: projectOf(req), userId: userOf(req) })
      return { quota_set: { id: projectOf(req), ...pick(limits, shownAt(req)) } }
    },
  }),
  route({
    method: "GET",
    path: `${path}/detail`,
    operation: showQuotaDetail,
    told: { ...told, ...one("quota_set", detail) },
    handler: async (ctx, req) => {
      const detail = await showQuotaDetail(ctx, { projectId: projectOf(req), userId: userOf(req) })
      return { quota_set: { id: projectOf(req), ...viewDetail(detail, shownAt(req)) } }
    },
  }),
  route({
    method: "GET",
    path: `${path}/defaults`,
    operation: showDefaultQuota,
    told: quotaSet,
    handler: async (ctx, req) => {
      const limits = await showDefaultQuota(ctx, { projectId: projectOf(req) })
      return { quota_set: { id: projectOf(req), ...pick(limits, shownAt(req)) } }
    },
  }),
  route({
    method: "PUT",
    path,
    operation: updateQuota,
    body: updateBody,
    told: { ...told, ...one("quota_set", shape("ChangedQuotaSet", members)) },
    handler: update,
  }),
  route({
    method: "DELETE",
    path,
    operation: deleteQuota,
    told,
    status: 202,
    handler: (ctx, req) => deleteQuota(ctx, { projectId: projectOf(req), userId: userOf(req) }),
  }),
]
