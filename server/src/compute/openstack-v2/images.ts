// Nova's old way to the images, until 2.35 (their metadata until 2.38): the same images in Nova's shape.

import { Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import { type Table, view } from "../../api/openstack/view.ts"
import {
  deleteImage,
  getImage,
  type Image,
  type ImageChange,
  type ImageFilter,
  listImages,
  updateImage,
} from "../../image/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { queryInteger, queryText } from "../../platform/http/query.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { metadataItemNotFound } from "../index.ts"
import { nextLink } from "./next-link.ts"
import { toldQuery } from "./query-names.ts"
import { bodyWith, metadata, metadataItem } from "./schema-parts.ts"
import { readTime } from "./server-query.ts"
import { seconds, linksOf as serverLinksOf } from "./server-view.ts"

const { count, countOrNull, links, one, page, rare, text, textMap, textOrNull } = is

const lastOfImages = "2.35"
const lastOfMetadata = "2.38"

function statusOf(image: Image): string {
  if (image.status === "active") return "ACTIVE"
  if (image.status === "queued" || image.status === "saving" || image.status === "importing") return "SAVING"
  if (image.status === "pending_delete") return "DELETED"
  return image.status === "killed" ? "ERROR" : "UNKNOWN"
}

function linksOf(ctx: Ctx, id: string) {
  return [
    { rel: "self", href: `${ctx.baseUrl}/compute/v2.1/images/${id}` },
    { rel: "bookmark", href: `${ctx.baseUrl}/compute/images/${id}` },
    { rel: "alternate", type: "application/vnd.openstack.image", href: `${ctx.baseUrl}/image/images/${id}` },
  ]
}

function progressOf(image: Image): number {
  const status = statusOf(image)
  return status === "ACTIVE" ? 100 : status === "SAVING" ? 25 : 0
}

const isWord = (value: string) => ["true", "1", "yes", "on"].includes(value.toLowerCase())

const brief: Table<Image> = {
  ...{ id: [text, "id"], name: [textOrNull, "name"] },
  links: [links, ({ id }, ctx) => linksOf(ctx, id)],
}
const imageBrief = view("ImageBrief", brief)
const shownImage = view<Image>("Image", {
  ...brief,
  ...{ minRam: [count, "minRamMib"], minDisk: [count, "minDiskGib"], progress: [count, progressOf] },
  metadata: [textMap, "properties"],
  created: [text, ({ createdAt }) => seconds(createdAt)],
  updated: [text, ({ updatedAt }) => seconds(updatedAt)],
  status: [text, statusOf],
  "OS-EXT-IMG-SIZE:size": [countOrNull, "sizeBytes"],
  server: [
    rare(Type.Object({ id: text, links })),
    ({ properties: { instance_uuid: id } }, ctx) =>
      id === undefined ? undefined : { id, links: serverLinksOf(ctx.baseUrl, id) },
  ],
  "OS-DCF:diskConfig": [
    rare(text),
    ({ properties: { auto_disk_config: word } }) =>
      word === undefined ? undefined : isWord(word) ? "AUTO" : "MANUAL",
  ],
})

const eq = (name: string, value: string, op: ImageFilter["op"] = "eq"): ImageFilter => ({
  name,
  op,
  values: [value],
})

function readFilters(query: WireRequest["query"]): ImageFilter[] {
  const filters: ImageFilter[] = []
  const text = (name: string) => queryText(query, name)
  const [imageName, status, server, type] = ["name", "status", "server", "type"].map(text)
  if (imageName !== undefined) filters.push(eq("name", imageName))
  if (status !== undefined)
    filters.push(eq("status", status.toLowerCase() === "saving" ? "queued" : status.toLowerCase()))
  if (server !== undefined) filters.push(eq("instance_uuid", server.split("/").at(-1) ?? server))
  if (type !== undefined) filters.push(eq("image_type", type))
  const minRam = text("minRam")
  const minDisk = text("minDisk")
  if (minRam !== undefined) filters.push(eq("min_ram", minRam))
  if (minDisk !== undefined) filters.push(eq("min_disk", minDisk))
  const since = text("changes-since")
  if (since !== undefined)
    filters.push(eq("updated_at", readTime("changes-since", since).toISOString(), "gte"))
  for (const key of Object.keys(query))
    if (key.startsWith("property-")) filters.push(eq(key.slice("property-".length), text(key) ?? ""))
  return filters
}

/** And `property-NAME`. */
const listParameters = [
  ...["name", "status", "server", "type", "minRam", "minDisk", "changes-since"],
  ...["limit", "marker"],
]

async function list(ctx: Ctx, req: WireRequest, isDetail: boolean) {
  const limitMost = ctx.config.compute.listLimitMost
  const asked = queryInteger(req.query, "limit", { min: 0 })
  const limit = Math.min(asked ?? limitMost, limitMost)
  const page = await listImages(ctx, {
    filters: readFilters(req.query),
    visibility: null,
    memberStatus: "accepted",
    isHidden: false,
    isProtected: null,
    tags: [],
    limit,
    marker: queryText(req.query, "marker") ?? null,
    sorts: [],
  })
  return {
    images: page.images.map((image) => (isDetail ? shownImage : imageBrief).show(ctx, req, image)),
    ...nextLink(ctx, req, "images", asked === undefined ? null : page.nextMarker),
  }
}

const idOf = (req: WireRequest) => req.params.image_id ?? ""

async function imageOf(ctx: Ctx, req: WireRequest): Promise<Image> {
  try {
    return await getImage(ctx, { imageId: idOf(req) })
  } catch (error) {
    // Nova's own words for it, which clients of this call match.
    if (error instanceof Fault && error.kind === "not_found")
      throw new Fault("not_found", error.code, "Image not found.", { cause: error })
    throw error
  }
}

async function changeMetadata(ctx: Ctx, req: WireRequest, next: (now: Image) => Record<string, string>) {
  const image = await imageOf(ctx, req)
  const wanted = next(image)
  const changes: ImageChange[] = []
  for (const [name, value] of Object.entries(wanted))
    changes.push({ op: Object.hasOwn(image.properties, name) ? "replace" : "add", name, value })
  for (const name of Object.keys(image.properties))
    if (!Object.hasOwn(wanted, name)) changes.push({ op: "remove", name, value: null })
  return (await updateImage(ctx, { imageId: image.id, changes })).properties
}

const metadataRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/images/{image_id}/metadata",
    max: lastOfMetadata,
    operation: getImage,
    told: one("metadata", textMap),
    handler: async (ctx, req) => ({ metadata: (await imageOf(ctx, req)).properties }),
  }),
  route({
    method: "POST",
    path: "/images/{image_id}/metadata",
    max: lastOfMetadata,
    operation: updateImage,
    alsoAsks: getImage,
    body: bodyWith("metadata", metadata),
    told: one("metadata", textMap),
    handler: async (ctx, req) => ({
      metadata: await changeMetadata(ctx, req, (now) => ({ ...now.properties, ...req.body.metadata })),
    }),
  }),
  route({
    method: "PUT",
    path: "/images/{image_id}/metadata",
    max: lastOfMetadata,
    operation: updateImage,
    alsoAsks: getImage,
    body: bodyWith("metadata", metadata),
    told: one("metadata", textMap),
    handler: async (ctx, req) => ({ metadata: await changeMetadata(ctx, req, () => req.body.metadata) }),
  }),
  route({
    method: "GET",
    path: "/images/{image_id}/metadata/{key}",
    max: lastOfMetadata,
    operation: getImage,
    told: one("meta", textMap),
    handler: async (ctx, req) => {
      const key = req.params.key ?? ""
      const { properties } = await imageOf(ctx, req)
      const value = Object.hasOwn(properties, key) ? properties[key] : undefined
      if (value === undefined) throw metadataItemNotFound(key)
      return { meta: { [key]: value } }
    },
  }),
  route({
    method: "PUT",
    path: "/images/{image_id}/metadata/{key}",
    max: lastOfMetadata,
    operation: updateImage,
    alsoAsks: getImage,
    body: bodyWith("meta", metadataItem),
    told: one("meta", textMap),
    handler: async (ctx, req) => {
      if (!Object.hasOwn(req.body.meta, req.params.key ?? ""))
        throw new Fault("invalid", "request.invalid", "Request body and URI mismatch")
      await changeMetadata(ctx, req, (now) => ({ ...now.properties, ...req.body.meta }))
      return { meta: req.body.meta }
    },
  }),
  route({
    method: "DELETE",
    path: "/images/{image_id}/metadata/{key}",
    max: lastOfMetadata,
    operation: updateImage,
    alsoAsks: getImage,
    handler: async (ctx, req) => {
      const key = req.params.key ?? ""
      await changeMetadata(ctx, req, (now) => {
        if (!Object.hasOwn(now.properties, key)) throw metadataItemNotFound(key)
        const { [key]: _gone, ...rest } = now.properties
        return rest
      })
      return reply(204)
    },
  }),
]

export const imageRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/images",
    max: lastOfImages,
    operation: listImages,
    told: { ...toldQuery(listParameters), ...page("images", imageBrief.shows) },
    handler: (ctx, req) => list(ctx, req, false),
  }),
  route({
    method: "GET",
    path: "/images/detail",
    max: lastOfImages,
    operation: listImages,
    told: { ...toldQuery(listParameters), ...page("images", shownImage.shows) },
    handler: (ctx, req) => list(ctx, req, true),
  }),
  route({
    method: "GET",
    path: "/images/{image_id}",
    max: lastOfImages,
    operation: getImage,
    told: one("image", shownImage.shows),
    handler: async (ctx, req) => ({ image: shownImage.show(ctx, req, await imageOf(ctx, req)) }),
  }),
  route({
    method: "DELETE",
    path: "/images/{image_id}",
    max: lastOfImages,
    operation: deleteImage,
    alsoAsks: getImage,
    handler: async (ctx, req) => await deleteImage(ctx, { imageId: (await imageOf(ctx, req)).id }),
  }),
  ...metadataRoutes,
]
