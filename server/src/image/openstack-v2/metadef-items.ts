// Objects, properties and tags of a namespace.

import { secondsText } from "../../platform/clock/iso-time.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import {
  attributeReadOnly,
  type Item,
  metadefObjects,
  metadefProperties,
  metadefTags,
  setMetadefTags,
} from "../index.ts"
import { objectBody, propertyBody, tagBody, tagsBody } from "./metadef-schema.ts"

const base = "/metadefs/namespaces/{namespace}"
const namespaceOf = (req: WireRequest) => req.params.namespace ?? ""
const named = (req: WireRequest) => ({ namespace: namespaceOf(req), name: req.params.name ?? "" })

const readOnly = ["self", "schema", "created_at", "updated_at"]

function readBody<T extends { name: string }>({ name, ...definition }: T) {
  const found = readOnly.find((key) => Object.hasOwn(definition, key))
  if (found) throw attributeReadOnly(found)
  return { name, definition }
}

export function viewObject(namespace: string, item: Item): Record<string, unknown> {
  return {
    name: item.name,
    required: [],
    properties: {},
    ...item.definition,
    created_at: secondsText(item.createdAt),
    updated_at: secondsText(item.updatedAt),
    self: `/v2/metadefs/namespaces/${namespace}/objects/${item.name}`,
    schema: "/v2/schemas/metadefs/object",
  }
}

const viewProperty = (item: Item): Record<string, unknown> => ({ ...item.definition, name: item.name })

function viewTag(item: Item): Record<string, unknown> {
  return { name: item.name, created_at: secondsText(item.createdAt), updated_at: secondsText(item.updatedAt) }
}

const objectRoutes: Route[] = [
  route({
    method: "GET",
    path: `${base}/objects`,
    operation: metadefObjects.list,
    handler: async (ctx, req) => {
      const namespace = namespaceOf(req)
      const objects = await metadefObjects.list(ctx, { namespace })
      const first = `/v2/metadefs/namespaces/${namespace}/objects`
      const schema = "/v2/schemas/metadefs/objects"
      return { objects: objects.map((item) => viewObject(namespace, item)), first, schema }
    },
  }),
  route({
    method: "POST",
    path: `${base}/objects`,
    operation: metadefObjects.create,
    body: objectBody,
    handler: async (ctx, req) => {
      const namespace = namespaceOf(req)
      return viewObject(namespace, await metadefObjects.create(ctx, { namespace, ...readBody(req.body) }))
    },
  }),
  route({
    method: "DELETE",
    path: `${base}/objects`,
    operation: metadefObjects.clear,
    handler: async (ctx, req) => {
      await metadefObjects.clear(ctx, { namespace: namespaceOf(req) })
    },
  }),
  route({
    method: "GET",
    path: `${base}/objects/{name}`,
    operation: metadefObjects.get,
    handler: async (ctx, req) => viewObject(namespaceOf(req), await metadefObjects.get(ctx, named(req))),
  }),
  route({
    method: "PUT",
    path: `${base}/objects/{name}`,
    operation: metadefObjects.update,
    body: objectBody,
    handler: async (ctx, req) => {
      const { name: newName, definition } = readBody(req.body)
      return viewObject(
        namespaceOf(req),
        await metadefObjects.update(ctx, { ...named(req), newName, definition }),
      )
    },
  }),
  route({
    method: "DELETE",
    path: `${base}/objects/{name}`,
    operation: metadefObjects.remove,
    handler: async (ctx, req) => {
      await metadefObjects.remove(ctx, named(req))
    },
  }),
]

const propertyRoutes: Route[] = [
  route({
    method: "GET",
    path: `${base}/properties`,
    operation: metadefProperties.list,
    handler: async (ctx, req) => {
      const properties = await metadefProperties.list(ctx, { namespace: namespaceOf(req) })
      return { properties: Object.fromEntries(properties.map((item) => [item.name, viewProperty(item)])) }
    },
  }),
  route({
    method: "POST",
    path: `${base}/properties`,
    operation: metadefProperties.create,
    body: propertyBody,
    handler: async (ctx, req) =>
      viewProperty(
        await metadefProperties.create(ctx, { namespace: namespaceOf(req), ...readBody(req.body) }),
      ),
  }),
  route({
    method: "DELETE",
    path: `${base}/properties`,
    operation: metadefProperties.clear,
    handler: async (ctx, req) => {
      await metadefProperties.clear(ctx, { namespace: namespaceOf(req) })
    },
  }),
  route({
    method: "GET",
    path: `${base}/properties/{name}`,
    operation: metadefProperties.get,
    handler: async (ctx, req) => viewProperty(await metadefProperties.get(ctx, named(req))),
  }),
  route({
    method: "PUT",
    path: `${base}/properties/{name}`,
    operation: metadefProperties.update,
    body: propertyBody,
    handler: async (ctx, req) => {
      const { name: newName, definition } = readBody(req.body)
      return viewProperty(await metadefProperties.update(ctx, { ...named(req), newName, definition }))
    },
  }),
  route({
    method: "DELETE",
    path: `${base}/properties/{name}`,
    operation: metadefProperties.remove,
    handler: async (ctx, req) => {
      await metadefProperties.remove(ctx, named(req))
    },
  }),
]

const nameMax = 80

const tagRoutes: Route[] = [
  route({
    method: "GET",
    path: `${base}/tags`,
    operation: metadefTags.list,
    handler: async (ctx, req) => {
      const namespace = namespaceOf(req)
      const tags = await metadefTags.list(ctx, { namespace })
      const first = `/v2/metadefs/namespaces/${namespace}/tags`
      return { tags: tags.map(({ name }) => ({ name })), first, schema: "/v2/schemas/metadefs/tags" }
    },
  }),
  route({
    method: "POST",
    path: `${base}/tags`,
    operation: setMetadefTags,
    body: tagsBody,
    handler: async (ctx, req) => {
      const isAppend = String(req.headers["x-openstack-append"]).toLowerCase() === "true"
      const names = req.body.tags.map((tag) => readBody(tag).name)
      const tags = await setMetadefTags(ctx, { namespace: namespaceOf(req), names, isAppend })
      return { tags: tags.map(({ name }) => ({ name })) }
    },
  }),
  route({
    method: "DELETE",
    path: `${base}/tags`,
    operation: metadefTags.clear,
    handler: async (ctx, req) => {
      await metadefTags.clear(ctx, { namespace: namespaceOf(req) })
    },
  }),
  route({
    method: "GET",
    path: `${base}/tags/{name}`,
    operation: metadefTags.get,
    handler: async (ctx, req) => viewTag(await metadefTags.get(ctx, named(req))),
  }),
  route({
    method: "POST",
    path: `${base}/tags/{name}`,
    operation: metadefTags.create,
    handler: async (ctx, req) => {
      const { namespace, name } = named(req)
      if (name.length > nameMax) throw invalid("name", `The name of a tag has at most ${nameMax} characters.`)
      const tag = await metadefTags.create(ctx, { namespace, name, definition: {} })
      const location = `${ctx.baseUrl}/image/v2/metadefs/namespaces/${namespace}/tags/${name}`
      return withHeaders(viewTag(tag), { location })
    },
  }),
  route({
    method: "PUT",
    path: `${base}/tags/{name}`,
    operation: metadefTags.update,
    body: tagBody,
    handler: async (ctx, req) => {
      const newName = readBody(req.body).name
      return viewTag(await metadefTags.update(ctx, { ...named(req), newName, definition: {} }))
    },
  }),
  route({
    method: "DELETE",
    path: `${base}/tags/{name}`,
    operation: metadefTags.remove,
    handler: async (ctx, req) => {
      await metadefTags.remove(ctx, named(req))
    },
  }),
]

export const metadefItemRoutes: Route[] = [...objectRoutes, ...propertyRoutes, ...tagRoutes]
