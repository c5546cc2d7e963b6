import { type TSchema, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { closed, keyed, typed } from "../../platform/schema/make.ts"
import {
  createLimits,
  createRegisteredLimits,
  deleteLimit,
  deleteRegisteredLimit,
  getLimit,
  getLimitModel,
  getRegisteredLimit,
  type Limit,
  listLimits,
  listRegisteredLimits,
  type RegisteredLimitRow,
  updateLimit,
  updateRegisteredLimit,
} from "../index.ts"
import { admitToOne } from "./admit.ts"
import { given, readOldList } from "./read.ts"
import { description, looseId, member, name } from "./schema.ts"
import { linkTo, pageReply } from "./view.ts"

const limitValue = Type.Integer({ minimum: -1, maximum: 0x7fff_ffff })
const nullable = typed(["string", "null"], { maxLength: 255 })

const registered = {
  service_id: looseId,
  region_id: nullable,
  resource_name: name,
  default_limit: limitValue,
  description,
}

/** `{<key>: [{…}, …]}` */
const several = <K extends string, T extends TSchema>(key: K, item: T) =>
  keyed(key, Type.Array(item, { minItems: 1 }), { additionalProperties: false })

function viewRegistered(ctx: Ctx, req: WireRequest, row: RegisteredLimitRow): Record<string, unknown> {
  const { id: rowId, service_id, region_id, resource_name, default_limit } = row
  const links = linkTo(ctx, req, `registered_limits/${rowId}`)
  return {
    id: rowId,
    service_id,
    region_id,
    resource_name,
    default_limit,
    description: row.description,
    links,
  }
}

export const registeredLimitRoutes = [
  route({
    method: "GET",
    path: "/registered_limits",
    operation: listRegisteredLimits,
    handler: async (ctx, req) => {
      const kinds = { service_id: "text", region_id: "text", resource_name: "text" } as const
      const list = await listRegisteredLimits(ctx, readOldList(req.query, kinds))
      return pageReply(ctx, req, "registered_limits", list, viewRegistered)
    },
  }),
  route({
    method: "POST",
    path: "/registered_limits",
    operation: createRegisteredLimits,
    body: several("registered_limits", closed(registered, ["service_id", "resource_name", "default_limit"])),
    handler: async (ctx, req) => {
      const rows = await createRegisteredLimits(ctx, {
        limits: req.body.registered_limits.map((limit) =>
          given({
            serviceId: limit.service_id,
            regionId: limit.region_id,
            resourceName: limit.resource_name,
            defaultLimit: limit.default_limit,
            description: limit.description,
          }),
        ),
      })
      return { registered_limits: rows.map((row) => viewRegistered(ctx, req, row)) }
    },
  }),
  route({
    method: "GET",
    path: "/registered_limits/{registered_limit_id}",
    operation: getRegisteredLimit,
    handler: async (ctx, req) => {
      const row = await getRegisteredLimit(ctx, { id: req.params.registered_limit_id ?? "" })
      return { registered_limit: viewRegistered(ctx, req, row) }
    },
  }),
  route({
    method: "PATCH",
    path: "/registered_limits/{registered_limit_id}",
    operation: updateRegisteredLimit,
    body: member("registered_limit", registered, { isClosed: true }),
    admit: admitToOne(updateRegisteredLimit, "registered_limit"),
    handler: async (ctx, req) => {
      const limit = req.body.registered_limit
      const row = await updateRegisteredLimit(ctx, {
        id: req.params.registered_limit_id ?? "",
        ...given({
          serviceId: limit.service_id,
          regionId: limit.region_id,
          resourceName: limit.resource_name,
          defaultLimit: limit.default_limit,
          description: limit.description,
        }),
      })
      return { registered_limit: viewRegistered(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/registered_limits/{registered_limit_id}",
    operation: deleteRegisteredLimit,
    handler: async (ctx, req) => {
      await deleteRegisteredLimit(ctx, { id: req.params.registered_limit_id ?? "" })
    },
  }),
]

const limit = {
  service_id: looseId,
  region_id: nullable,
  resource_name: name,
  resource_limit: limitValue,
  project_id: nullable,
  domain_id: nullable,
  description,
}

function viewLimit(ctx: Ctx, req: WireRequest, row: Limit): Record<string, unknown> {
  return {
    id: row.id,
    service_id: row.service_id,
    region_id: row.region_id,
    resource_name: row.resource_name,
    resource_limit: row.resource_limit,
    project_id: row.project_id,
    domain_id: row.domain_id,
    description: row.description,
    links: linkTo(ctx, req, `limits/${row.id}`),
  }
}

export const limitRoutes = [
  route({
    method: "GET",
    path: "/limits/model",
    operation: getLimitModel,
    handler: async (ctx) => ({ model: await getLimitModel(ctx, {}) }),
  }),
  route({
    method: "GET",
    path: "/limits",
    operation: listLimits,
    handler: async (ctx, req) => {
      const kinds = {
        service_id: "text",
        region_id: "text",
        resource_name: "text",
        project_id: "text",
        domain_id: "text",
      } as const
      return pageReply(ctx, req, "limits", await listLimits(ctx, readOldList(req.query, kinds)), viewLimit)
    },
  }),
  route({
    method: "POST",
    path: "/limits",
    operation: createLimits,
    body: several("limits", closed(limit, ["service_id", "resource_name", "resource_limit"])),
    handler: async (ctx, req) => {
      const rows = await createLimits(ctx, {
        limits: req.body.limits.map((body) =>
          given({
            serviceId: body.service_id,
            regionId: body.region_id,
            resourceName: body.resource_name,
            resourceLimit: body.resource_limit,
            projectId: body.project_id,
            domainId: body.domain_id,
            description: body.description,
          }),
        ),
      })
      return { limits: rows.map((row) => viewLimit(ctx, req, row)) }
    },
  }),
  route({
    method: "GET",
    path: "/limits/{limit_id}",
    operation: getLimit,
    handler: async (ctx, req) => ({
      limit: viewLimit(ctx, req, await getLimit(ctx, { id: req.params.limit_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/limits/{limit_id}",
    operation: updateLimit,
    body: member("limit", { resource_limit: limitValue, description }, { isClosed: true }),
    admit: admitToOne(updateLimit, "limit"),
    handler: async (ctx, req) => {
      const body = req.body.limit
      const changes = given({ resourceLimit: body.resource_limit, description: body.description })
      const row = await updateLimit(ctx, { id: req.params.limit_id ?? "", ...changes })
      return { limit: viewLimit(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/limits/{limit_id}",
    operation: deleteLimit,
    handler: async (ctx, req) => {
      await deleteLimit(ctx, { id: req.params.limit_id ?? "" })
    },
  }),
]
