import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import {
  addImage,
  changeLocations,
  deactivateImage,
  deleteImage,
  getImage,
  imageNotFound,
  importMethods,
  listImages,
  listStores,
  reactivateImage,
  updateImage,
} from "../index.ts"
import { readPatch } from "./image-patch.ts"
import { readImageQuery } from "./image-query.ts"
import { imageBody } from "./image-schema.ts"
import { viewImage } from "./image-view.ts"
import { told } from "./told.ts"

const idOf = (req: WireRequest) => ({ imageId: req.params.image_id ?? "" })

export const imageRoutes: Route[] = [
  route({
    method: "POST",
    path: "/images",
    operation: addImage,
    alsoAsks: [listStores],
    told: told.image,
    body: imageBody,
    handler: async (ctx, req) => {
      if (req.body === undefined || req.body === null) throw invalid("body", "Body expected in request.")
      const image = await addImage(ctx, { attributes: req.body })
      const storeIds = (await listStores(ctx, {})).map(({ store }) => store.id)
      return withHeaders(viewImage(ctx, image), {
        location: `${ctx.baseUrl}/image/v2/images/${image.id}`,
        "openstack-image-import-methods": importMethods.join(","),
        "openstack-image-store-ids": storeIds.join(","),
      })
    },
  }),
  route({ method: "GET", path: "/images", operation: listImages, told: told.images, handler: list }),
  route({
    method: "GET",
    path: "/images/{image_id}",
    operation: getImage,
    told: told.image,
    handler: async (ctx, req) => viewImage(ctx, await getImage(ctx, idOf(req))),
  }),
  route({
    method: "PATCH",
    path: "/images/{image_id}",
    operation: [updateImage, changeLocations],
    told: told.imageChange,
    handler: async (ctx, req) => {
      const { kind, changes } = readPatch(req)
      const image =
        kind === "locations"
          ? await changeLocations(ctx, { ...idOf(req), changes })
          : await updateImage(ctx, { ...idOf(req), changes })
      return viewImage(ctx, image)
    },
  }),
  route({
    method: "DELETE",
    path: "/images/{image_id}",
    operation: deleteImage,
    handler: (ctx, req) => deleteImage(ctx, idOf(req)),
  }),
  route({
    method: "POST",
    path: "/images/{image_id}/actions/deactivate",
    operation: deactivateImage,
    status: 204,
    handler: (ctx, req) => deactivateImage(ctx, idOf(req)),
  }),
  route({
    method: "POST",
    path: "/images/{image_id}/actions/reactivate",
    operation: reactivateImage,
    status: 204,
    handler: (ctx, req) => reactivateImage(ctx, idOf(req)),
  }),
]

async function list(ctx: Ctx, req: WireRequest): Promise<unknown> {
  // `/images/` is the image without an id, which is not there; the router takes it for the list.
  if (/\/(\?|$)/.test(req.url)) throw imageNotFound("")
  const page = await listImages(ctx, readImageQuery(req.query, ctx.config.image))
  const query = new URLSearchParams(req.url.split("?")[1] ?? "")
  query.delete("marker")
  const address = (params: URLSearchParams) => `/v2/images${params.size > 0 ? `?${params}` : ""}`
  const first = address(query)
  if (page.nextMarker !== null) query.set("marker", page.nextMarker)
  return {
    images: page.images.map((image) => viewImage(ctx, image)),
    first,
    schema: "/v2/schemas/images",
    ...(page.nextMarker === null ? {} : { next: address(query) }),
  }
}
