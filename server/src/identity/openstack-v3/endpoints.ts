import { Type } from "typebox"
import { rare } from "../../api/openstack/shape.ts"
import { typed, word } from "../../platform/schema/make.ts"
import {
  createEndpoint,
  deleteEndpoint,
  endpointNoun,
  getEndpoint,
  listEndpoints,
  updateEndpoint,
} from "../index.ts"
import { resourceRoutes, viewOf } from "./resource.ts"
import { idString, strictBoolean, textOrNull } from "./schema.ts"

const regionId = typed(["string", "null"], { minLength: 1, maxLength: 255 })

export const viewEndpoint = viewOf(
  endpointNoun,
  ({ id }) => `endpoints/${id}`,
  ({ regionId, name }) => ({ region: regionId, name: name ?? undefined }),
  { region: textOrNull, name: rare(Type.String()) },
)

/** A region by its old name need not be there yet. */
function translateRegion(body: { region?: unknown; region_id?: unknown }): object {
  const { region, region_id, ...rest } = body
  const isRegionMade = (region_id === undefined || region_id === null) && typeof region === "string"
  return { ...rest, region_id: isRegionMade ? region : region_id, is_region_made: isRegionMade }
}

export const endpointRoutes = resourceRoutes({
  noun: endpointNoun,
  singular: "endpoint",
  view: viewEndpoint,
  properties: {
    service_id: idString,
    interface: word(["admin", "internal", "public"]),
    url: Type.String({ minLength: 1, maxLength: 2_048, pattern: "^[a-zA-Z0-9+.-]+:.+" }),
    region: regionId,
    region_id: regionId,
    name: textOrNull,
    enabled: strictBoolean,
  },
  required: ["service_id", "interface", "url"],
  translate: translateRegion,
  list: listEndpoints,
  get: getEndpoint,
  create: createEndpoint,
  update: updateEndpoint,
  remove: deleteEndpoint,
})
