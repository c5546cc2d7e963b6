import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { type Fields, typed, word } from "../../platform/schema/make.ts"
import {
  createEndpoint,
  deleteEndpoint,
  type EndpointRow,
  getEndpoint,
  listEndpoints,
  updateEndpoint,
} from "../index.ts"
import { admitToOne } from "./admit.ts"
import { extraOf, given, readList, requireSameId } from "./read.ts"
import { idString, member, strictBoolean, textOrNull } from "./schema.ts"
import { linkTo, pageReply } from "./view.ts"

const regionId = typed(["string", "null"], { minLength: 1, maxLength: 255 })
const properties = {
  service_id: idString,
  interface: word(["admin", "internal", "public"]),
  url: Type.String({ minLength: 1, maxLength: 2_048, pattern: "^[a-zA-Z0-9+.-]+:.+" }),
  region: regionId,
  region_id: regionId,
  name: textOrNull,
  enabled: strictBoolean,
}
const known = [...Object.keys(properties), "id", "links"]

function readEndpoint(body: Fields<typeof properties>) {
  const isRegionMade =
    (body.region_id === undefined || body.region_id === null) && typeof body.region === "string"
  return given({
    regionId: isRegionMade ? body.region : body.region_id,
    isRegionMade,
    name: body.name,
    isEnabled: body.enabled,
    extra: extraOf(body, known),
  })
}

export function viewEndpoint(ctx: Ctx, req: WireRequest, row: EndpointRow): Record<string, unknown> {
  return {
    ...row.extra,
    id: row.id,
    service_id: row.service_id,
    interface: row.interface,
    region: row.region_id,
    region_id: row.region_id,
    url: row.url,
    ...(row.name === null ? {} : { name: row.name }),
    enabled: row.is_enabled,
    links: linkTo(ctx, req, `endpoints/${row.id}`),
  }
}

export const endpointRoutes = [
  route({
    method: "GET",
    path: "/endpoints",
    operation: listEndpoints,
    handler: async (ctx, req) => {
      const kinds = { interface: "text", service_id: "text", region_id: "text" } as const
      return pageReply(
        ctx,
        req,
        "endpoints",
        await listEndpoints(ctx, readList(req.query, kinds)),
        viewEndpoint,
      )
    },
  }),
  route({
    method: "POST",
    path: "/endpoints",
    operation: createEndpoint,
    body: member("endpoint", properties, { required: ["service_id", "interface", "url"] }),
    handler: async (ctx, req) => {
      const { endpoint } = req.body
      const row = await createEndpoint(ctx, {
        serviceId: endpoint.service_id,
        interface: endpoint.interface,
        url: endpoint.url,
        ...readEndpoint(endpoint),
      })
      return { endpoint: viewEndpoint(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/endpoints/{endpoint_id}",
    operation: getEndpoint,
    handler: async (ctx, req) => ({
      endpoint: viewEndpoint(ctx, req, await getEndpoint(ctx, { id: req.params.endpoint_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/endpoints/{endpoint_id}",
    operation: updateEndpoint,
    body: member("endpoint", properties, { minProperties: 1 }),
    admit: admitToOne(updateEndpoint, "endpoint"),
    handler: async (ctx, req) => {
      const id = req.params.endpoint_id ?? ""
      const { endpoint } = req.body
      requireSameId(endpoint, id)
      const row = await updateEndpoint(ctx, {
        id,
        ...given({ serviceId: endpoint.service_id, interface: endpoint.interface, url: endpoint.url }),
        ...readEndpoint(endpoint),
      })
      return { endpoint: viewEndpoint(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/endpoints/{endpoint_id}",
    operation: deleteEndpoint,
    handler: async (ctx, req) => {
      await deleteEndpoint(ctx, { id: req.params.endpoint_id ?? "" })
    },
  }),
]
