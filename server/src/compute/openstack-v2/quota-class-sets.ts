import { count, each, from, one, shape, text } from "../../api/openstack/shape.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { type QuotaLimits, type QuotaResource, showQuotaClass, updateQuotaClass } from "../index.ts"
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
import { bodyOf } from "./schema-parts.ts"

const networksEnd = "2.50"
const path = "/os-quota-class-sets/{id}"

const classOf = (req: WireRequest) => req.params.id ?? ""

/** Server groups may be set by every version, and are shown from 2.50 on. */
function view(version: Microversion, limits: QuotaLimits): Partial<QuotaLimits> {
  const shown = quotaResourcesAt(version, networksEnd)
  if (atLeast(version, "2.50")) return pick(limits, shown)
  return pick(
    limits,
    shown.filter((resource) => !resource.startsWith("server_group")),
  )
}

const members = {
  ...shownLimits(networksEnd),
  ...each("server_groups server_group_members", from("2.50", count)),
}

const bodyFor = (resources: readonly QuotaResource[]) => bodyOf("quota_class_set", limitProperties(resources))

export const quotaClassSetRoutes: readonly Route[] = [
  route({
    method: "GET",
    path,
    operation: showQuotaClass,
    told: one("quota_class_set", shape("QuotaClassSet", { id: text, ...members })),
    handler: async (ctx, req) => {
      const limits = await showQuotaClass(ctx, { className: classOf(req) })
      return { quota_class_set: { id: classOf(req), ...view(req.version, limits) } }
    },
  }),
  route({
    method: "PUT",
    path,
    operation: updateQuotaClass,
    body: versions({
      "2.1": bodyFor(all),
      [networksEnd]: bodyFor(withoutNetworks),
      "2.57": bodyFor(modern),
    }),
    told: one("quota_class_set", shape("ChangedQuotaClassSet", members)),
    handler: async (ctx, req) => {
      const limits = await updateQuotaClass(ctx, {
        className: classOf(req),
        limits: readLimits(req.body.quota_class_set),
      })
      return { quota_class_set: view(req.version, limits) }
    },
  }),
]
