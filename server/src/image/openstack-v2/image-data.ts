import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { type Route, reply, route, streamReply, type WireRequest } from "../../platform/http/wire.ts"
import { downloadImage, stageImage, uploadImage } from "../index.ts"
import { mediaTypeNotTaken } from "./faults.ts"

export const imageDataRoutes: Route[] = [
  route({
    method: "PUT",
    path: "/images/{image_id}/file",
    operation: uploadImage,
    status: 204,
    rawBody: true,
    handler: async (ctx, req) => {
      const store = header(req, "x-image-meta-store")
      await uploadImage(ctx, { ...readUpload(req), ...(store ? { store } : {}) })
    },
  }),
  route({
    method: "PUT",
    path: "/images/{image_id}/stage",
    operation: stageImage,
    status: 204,
    rawBody: true,
    handler: async (ctx, req) => {
      await stageImage(ctx, readUpload(req))
    },
  }),
  route({
    method: "GET",
    path: "/images/{image_id}/file",
    operation: downloadImage,
    status: [200, 204, 206],
    handler: download,
  }),
]

const binaryType = "application/octet-stream"

function header(req: WireRequest, name: string): string | undefined {
  const value = req.headers[name]
  return Array.isArray(value) ? value[0] : value
}

function readUpload(req: WireRequest) {
  const type = header(req, "content-type")?.split(";")[0]?.trim().toLowerCase() ?? ""
  if (type !== binaryType) throw mediaTypeNotTaken(type, [binaryType])
  const length = header(req, "content-length")
  if (length !== undefined && !Number.isSafeInteger(Number(length)))
    throw invalid("content-length", "The header Content-Length is not a number of bytes.")
  return {
    imageId: req.params.image_id ?? "",
    stream: req.stream,
    sizeBytes: length === undefined ? null : Number(length),
  }
}

async function download(ctx: Ctx, req: WireRequest): Promise<unknown> {
  const data = await downloadImage(ctx, {
    imageId: req.params.image_id ?? "",
    range: header(req, "range") ?? null,
    contentRange: header(req, "content-range") ?? null,
  })
  if (!data) return reply(204)
  const { range, sizeBytes, image, stream } = data
  const length = range ? range.end - range.start + 1 : sizeBytes
  return streamReply(range ? 206 : 200, stream, {
    "content-type": binaryType,
    ...(length === null ? {} : { "content-length": String(length) }),
    ...(image.checksum ? { "content-md5": image.checksum } : {}),
    ...(range ? { "content-range": `bytes ${range.start}-${range.end}/${sizeBytes}` } : {}),
  })
}
