import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { type Fields, typed } from "../../platform/schema/make.ts"
import {
  createService,
  deleteService,
  getService,
  listServices,
  type ServiceRow,
  updateService,
} from "../index.ts"
import { admitToOne } from "./admit.ts"
import { extraOf, given, readList, requireSameId } from "./read.ts"
import { description, member, strictBoolean } from "./schema.ts"
import { linkTo, pageReply } from "./view.ts"

const properties = {
  type: Type.String({ minLength: 1, maxLength: 255 }),
  name: typed(["string", "null"], { maxLength: 255 }),
  description,
  enabled: strictBoolean,
}
const known = [...Object.keys(properties), "id", "links"]

function readService(body: Fields<typeof properties>) {
  return given({
    name: body.name,
    description: body.description,
    isEnabled: body.enabled,
    extra: extraOf(body, known),
  })
}

function viewService(ctx: Ctx, req: WireRequest, row: ServiceRow): Record<string, unknown> {
  return {
    ...row.extra,
    id: row.id,
    type: row.type,
    name: row.name ?? "",
    ...(row.description === null ? {} : { description: row.description }),
    enabled: row.is_enabled,
    links: linkTo(ctx, req, `services/${row.id}`),
  }
}

export const serviceRoutes = [
  route({
    method: "GET",
    path: "/services",
    operation: listServices,
    handler: async (ctx, req) => {
      const list = await listServices(ctx, readList(req.query, { type: "text", name: "text" }))
      return pageReply(ctx, req, "services", list, viewService)
    },
  }),
  route({
    method: "POST",
    path: "/services",
    operation: createService,
    body: member("service", properties, { required: ["type"] }),
    handler: async (ctx, req) => {
      const { service } = req.body
      const row = await createService(ctx, { type: service.type, ...readService(service) })
      return { service: viewService(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/services/{service_id}",
    operation: getService,
    handler: async (ctx, req) => ({
      service: viewService(ctx, req, await getService(ctx, { id: req.params.service_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/services/{service_id}",
    operation: updateService,
    body: member("service", properties, { minProperties: 1 }),
    admit: admitToOne(updateService, "service"),
    handler: async (ctx, req) => {
      const id = req.params.service_id ?? ""
      const { service } = req.body
      requireSameId(service, id)
      const row = await updateService(ctx, { id, ...given({ type: service.type }), ...readService(service) })
      return { service: viewService(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/services/{service_id}",
    operation: deleteService,
    handler: async (ctx, req) => {
      await deleteService(ctx, { id: req.params.service_id ?? "" })
    },
  }),
]
