import { type TProperties, type TSchema, Type } from "typebox"
import { count, one, shape, text } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { queryBoolean } from "../../platform/http/query.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { closed, typed } from "../../platform/schema/make.ts"
import {
  deleteQuota,
  inputInvalid,
  kindsOfTypes,
  type QuotaDetail,
  quotaResources,
  showDefaultQuota,
  showLimits,
  showQuota,
  showQuotaClass,
  updateQuota,
  updateQuotaClass,
} from "../index.ts"
import { bodyWith, boolean, readBoolean } from "./parts.ts"

const idOf = ({ params }: Pick<WireRequest, "params">) => params.project_id ?? ""
const classOf = ({ params }: Pick<WireRequest, "params">) => params.class_name ?? ""

const usage = Type.Object({ limit: count, in_use: count, reserved: count })
/** Beside the limits of all, those of each volume type: `volumes_<type>`. */
const ofTypes = `^(${kindsOfTypes.join("|")})_.`

function setOf(name: string, title: string, figure: TSchema, more: TProperties = {}) {
  const members = Object.fromEntries(quotaResources.map((resource) => [resource, figure]))
  return one(name, Type.Object({ ...more, ...members }, { title, patternProperties: { [ofTypes]: figure } }))
}

const quotaSet = setOf("quota_set", "VolumeQuotaSet", Type.Union([count, usage]), { id: text })
const defaults = setOf("quota_set", "DefaultVolumeQuotaSet", count, { id: text })
const changed = setOf("quota_set", "ChangedVolumeQuotaSet", count)
const quotaClass = setOf("quota_class_set", "VolumeQuotaClass", count, { id: text })
const changedClass = setOf("quota_class_set", "ChangedVolumeQuotaClass", count)

const limit = typed(["integer", "string"], { pattern: "^-?[0-9]+$", minimum: -1 })
const limits = Object.fromEntries(quotaResources.map((resource) => [resource, limit]))
const limitsOfTypes = { patternProperties: { [ofTypes]: limit } }
const updateBody = bodyWith(
  "quota_set",
  closed({ ...limits, force: boolean, tenant_id: Type.String() }, [], limitsOfTypes),
)
const classBody = bodyWith(
  "quota_class_set",
  closed({ ...limits, class_name: Type.String() }, [], limitsOfTypes),
)

const isOfType = new RegExp(ofTypes)

/** Those that are named. */
function readLimits(body: Readonly<Record<string, unknown>>): Record<string, number> {
  const read: Record<string, number> = {}
  for (const resource of Object.keys(body)) {
    if (!isOfType.test(resource) && !quotaResources.some((each) => each === resource)) continue
    const value = Number(body[resource])
    if (!Number.isSafeInteger(value) || value < -1 || value > 2 ** 31 - 1)
      throw inputInvalid(`${resource}: a limit is an integer from -1 (no limit) to 2147483647.`)
    read[resource] = value
  }
  return read
}

function withUsage({ limits: of, used }: QuotaDetail) {
  return Object.fromEntries(
    Object.entries(of).map(([resource, limit]) => [
      resource,
      { limit, in_use: used[resource] ?? 0, reserved: 0 },
    ]),
  )
}

/** Clients repeat what the path says. */
function checkNamed(name: string, said: unknown, inPath: string): void {
  if (said !== undefined && said !== inPath) throw inputInvalid(`${name}: the path says ${inPath}.`)
}

async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const { quota_set: body } = req.body
  checkNamed("tenant_id", body.tenant_id, idOf(req))
  const { limits: set } = await updateQuota(ctx, {
    projectId: idOf(req),
    limits: readLimits(body),
    isForced: readBoolean("force", body.force as boolean | undefined, true),
  })
  return { quota_set: set }
}

const path = "/os-quota-sets/{project_id}"

const limitNames = [
  ["maxTotalVolumes", "volumes"],
  ["maxTotalVolumeGigabytes", "gigabytes"],
  ["maxTotalSnapshots", "snapshots"],
  ["maxTotalBackups", "backups"],
  ["maxTotalBackupGigabytes", "backup_gigabytes"],
] as const
const usedNames = [
  ["totalVolumesUsed", "volumes"],
  ["totalGigabytesUsed", "gigabytes"],
  ["totalSnapshotsUsed", "snapshots"],
  ["totalBackupsUsed", "backups"],
  ["totalBackupGigabytesUsed", "backup_gigabytes"],
] as const

const absolute = shape(
  "AbsoluteVolumeLimits",
  Object.fromEntries([...limitNames, ...usedNames].map(([name]) => [name, count])),
)

export const quotaRoutes: readonly Route[] = [
  route({
    method: "GET",
    path,
    operation: showQuota,
    told: { query: { type: "object", properties: { usage: { type: "boolean" } } }, ...quotaSet },
    handler: async (ctx, req) => {
      const detail = await showQuota(ctx, { projectId: idOf(req) })
      const shown = (queryBoolean(req.query, "usage") ?? false) ? withUsage(detail) : detail.limits
      return { quota_set: { id: idOf(req), ...shown } }
    },
  }),
  route({
    method: "GET",
    path: `${path}/defaults`,
    operation: showDefaultQuota,
    told: defaults,
    handler: async (ctx, req) => ({
      quota_set: { id: idOf(req), ...(await showDefaultQuota(ctx, { projectId: idOf(req) })) },
    }),
  }),
  route({ method: "PUT", path, body: updateBody, operation: updateQuota, told: changed, handler: update }),
  route({
    method: "DELETE",
    path,
    status: 200,
    operation: deleteQuota,
    handler: async (ctx, req) => await deleteQuota(ctx, { projectId: idOf(req) }),
  }),
  route({
    method: "GET",
    path: "/os-quota-class-sets/{class_name}",
    operation: showQuotaClass,
    told: quotaClass,
    handler: async (ctx, req) => ({
      quota_class_set: { id: classOf(req), ...(await showQuotaClass(ctx, { className: classOf(req) })) },
    }),
  }),
  route({
    method: "PUT",
    path: "/os-quota-class-sets/{class_name}",
    body: classBody,
    operation: updateQuotaClass,
    told: changedClass,
    handler: async (ctx, req) => {
      const [className, { quota_class_set: body }] = [classOf(req), req.body]
      checkNamed("class_name", body.class_name, className)
      return { quota_class_set: await updateQuotaClass(ctx, { className, limits: readLimits(body) }) }
    },
  }),
  route({
    method: "GET",
    path: "/limits",
    operation: showLimits,
    told: one("limits", shape("VolumeLimits", { rate: Type.Array(Type.Unknown()), absolute })),
    handler: async (ctx) => {
      const { limits: of, used } = await showLimits(ctx, {})
      const shown = [
        ...limitNames.map(([name, resource]) => [name, of[resource]] as const),
        ...usedNames.map(([name, resource]) => [name, used[resource]] as const),
      ]
      return { limits: { rate: [], absolute: Object.fromEntries(shown) } }
    },
  }),
]
