import { one } from "../../api/openstack/shape.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { route } from "../../platform/http/wire.ts"
import { typed } from "../../platform/schema/make.ts"
import { createRegion, deleteRegion, getRegion, listRegions, regionNoun, updateRegion } from "../index.ts"
import { type ResourceDefinition, readerOf, resourceRoutes, viewOf } from "./resource.ts"
import { description, member } from "./schema.ts"

const properties = {
  id: typed(["string", "null"], { maxLength: 255 }),
  parent_region_id: typed(["string", "null"], { minLength: 1, maxLength: 255 }),
  description,
}

const region = {
  noun: regionNoun,
  singular: "region",
  view: viewOf(regionNoun, ({ id }) => `regions/${encodeURIComponent(id)}`),
  properties,
  // An id that says nothing is none.
  translate: (body: object) => ("id" in body && !body.id ? { ...body, id: undefined } : body),
  list: listRegions,
  get: getRegion,
  create: createRegion,
  update: updateRegion,
  remove: deleteRegion,
} satisfies ResourceDefinition<typeof regionNoun.fields>

export const regionRoutes = [
  ...resourceRoutes(region),
  route({
    method: "PUT",
    path: "/regions/{region_id}",
    operation: createRegion,
    body: member("region", properties),
    told: one("region", region.view.shows),
    status: 201,
    handler: async (ctx, req) => {
      const id = req.params.region_id ?? ""
      const { region: body } = req.body
      if (body.id !== undefined && body.id !== id)
        throw invalid("id", `Conflicting region IDs specified: "${id}" != "${body.id}"`)
      const made = await createRegion(ctx, { ...readerOf(region).create(body), id })
      return { region: region.view(ctx, req, made) }
    },
  }),
]
