import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { type Fields, typed } from "../../platform/schema/make.ts"
import { createRegion, deleteRegion, getRegion, listRegions, type RegionRow, updateRegion } from "../index.ts"
import { admitToOne } from "./admit.ts"
import { extraOf, given, readList, requireSameId } from "./read.ts"
import { description, member } from "./schema.ts"
import { linkTo, pageReply } from "./view.ts"

const properties = {
  id: typed(["string", "null"], { maxLength: 255 }),
  parent_region_id: typed(["string", "null"], { minLength: 1, maxLength: 255 }),
  description,
}
const known = [...Object.keys(properties), "links"]

function readRegion(body: Fields<typeof properties>) {
  return given({
    parentRegionId: body.parent_region_id,
    description: body.description,
    extra: extraOf(body, known),
  })
}

function viewRegion(ctx: Ctx, req: WireRequest, row: RegionRow): Record<string, unknown> {
  return {
    ...row.extra,
    id: row.id,
    description: row.description,
    parent_region_id: row.parent_region_id,
    links: linkTo(ctx, req, `regions/${encodeURIComponent(row.id)}`),
  }
}

export const regionRoutes = [
  route({
    method: "GET",
    path: "/regions",
    operation: listRegions,
    handler: async (ctx, req) => {
      const list = await listRegions(ctx, readList(req.query, { parent_region_id: "text" }))
      return pageReply(ctx, req, "regions", list, viewRegion)
    },
  }),
  route({
    method: "POST",
    path: "/regions",
    operation: createRegion,
    body: member("region", properties),
    handler: async (ctx, req) => {
      const { region } = req.body
      const row = await createRegion(ctx, { ...given({ id: region.id || undefined }), ...readRegion(region) })
      return { region: viewRegion(ctx, req, row) }
    },
  }),
  route({
    method: "PUT",
    path: "/regions/{region_id}",
    operation: createRegion,
    body: member("region", properties),
    status: 201,
    handler: async (ctx, req) => {
      const id = req.params.region_id ?? ""
      const { region } = req.body
      if (region.id !== undefined && region.id !== id)
        throw invalid("id", `Conflicting region IDs specified: "${id}" != "${region.id}"`)
      const row = await createRegion(ctx, { id, ...readRegion(region) })
      return { region: viewRegion(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/regions/{region_id}",
    operation: getRegion,
    handler: async (ctx, req) => ({
      region: viewRegion(ctx, req, await getRegion(ctx, { id: req.params.region_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/regions/{region_id}",
    operation: updateRegion,
    body: member("region", properties, { minProperties: 1 }),
    admit: admitToOne(updateRegion, "region"),
    handler: async (ctx, req) => {
      const id = req.params.region_id ?? ""
      const { region } = req.body
      requireSameId(region, id)
      return { region: viewRegion(ctx, req, await updateRegion(ctx, { id, ...readRegion(region) })) }
    },
  }),
  route({
    method: "DELETE",
    path: "/regions/{region_id}",
    operation: deleteRegion,
    handler: async (ctx, req) => {
      await deleteRegion(ctx, { id: req.params.region_id ?? "" })
    },
  }),
]
