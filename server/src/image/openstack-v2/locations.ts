// The places of an image's data by themselves (2.17), and images of data that stay at an address.
import { Type } from "typebox"
import { each, many, shape, text } from "../../api/openstack/shape.ts"
import { type Route, route } from "../../platform/http/wire.ts"
import { anyObject, object } from "../../platform/schema/make.ts"
import { addLocation, listLocations } from "../index.ts"
import { validationData } from "./image-schema.ts"
import { viewLocation } from "./image-view.ts"

const added = object({ url: Type.String({ maxLength: 2048 }), validation_data: validationData }, ["url"])

export const locationRoutes: Route[] = [
  route({
    method: "POST",
    path: "/images/{image_id}/locations",
    operation: addLocation,
    status: 202,
    body: added,
    handler: async (ctx, req) => {
      const { url, validation_data: said } = req.body
      const claim = said
        ? {
            osHashAlgo: said.os_hash_algo,
            osHashValue: said.os_hash_value,
            ...(said.checksum === undefined ? {} : { checksum: said.checksum }),
          }
        : null
      await addLocation(ctx, { imageId: req.params.image_id ?? "", url, claim })
    },
  }),
  route({
    method: "GET",
    path: "/images/{image_id}/locations",
    operation: listLocations,
    told: { answer: many(shape("Location", { ...each("url", text), metadata: anyObject })) },
    handler: async (ctx, req) =>
      (await listLocations(ctx, { imageId: req.params.image_id ?? "" })).map(viewLocation),
  }),
]
