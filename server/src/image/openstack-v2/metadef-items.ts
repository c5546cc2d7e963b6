// Objects, properties and tags of a namespace.
import type { TSchema } from "typebox"
import { secondsText } from "../../platform/clock/iso-time.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import { type Item, metadefObjects, metadefProperties, metadefTags, setMetadefTags } from "../index.ts"
import { checkWritable, objectBody, propertyBody, tagBody, tagsBody } from "./metadef-schema.ts"
import { told } from "./told.ts"

const base = "/metadefs/namespaces/{namespace}"
const namespaceOf = (req: WireRequest) => ({ namespace: req.params.namespace ?? "" })
const named = (req: WireRequest) => ({ ...namespaceOf(req), name: req.params.name ?? "" })

function readBody<T extends { name: string }>({ name, ...definition }: T) {
  checkWritable(definition)
  return { name, definition }
}

const times = (item: Item) => ({
  created_at: secondsText(item.createdAt),
  updated_at: secondsText(item.updatedAt),
})

export function viewObject(namespace: string, item: Item): Record<string, unknown> {
  return {
    name: item.name,
    required: [],
    properties: {},
    ...item.definition,
    ...times(item),
    self: `/v2/metadefs/namespaces/${namespace}/objects/${item.name}`,
    schema: "/v2/schemas/metadefs/object",
  }
}

const viewProperty = (_namespace: string, item: Item) => ({ ...item.definition, name: item.name })
const viewTag = (_namespace: string, item: Item) => ({ name: item.name, ...times(item) })

const listing = (list: string, namespace: string, items: readonly unknown[]) => ({
  [list]: items,
  first: `/v2/metadefs/namespaces/${namespace}/${list}`,
  schema: `/v2/schemas/metadefs/${list}`,
})

interface ItemList {
  path: string
  operations: typeof metadefObjects
  body: TSchema
  told: { answer: TSchema }
  view: (namespace: string, item: Item) => Record<string, unknown>
  toldAll: { answer: TSchema }
  viewAll: (namespace: string, items: readonly Item[]) => Record<string, unknown>
}

interface Body {
  name: string
}

function itemRoutes({ path, operations, body, told, view, toldAll, viewAll }: ItemList): Route[] {
  const { list, get, update, remove, clear } = operations
  const one = `${path}/{name}`
  return [
    route({
      method: "GET",
      path,
      operation: list,
      told: toldAll,
      handler: async (ctx, req) => viewAll(namespaceOf(req).namespace, await list(ctx, namespaceOf(req))),
    }),
    route({
      method: "DELETE",
      path,
      operation: clear,
      handler: (ctx, req) => clear(ctx, namespaceOf(req)),
    }),
    route({
      method: "GET",
      path: one,
      operation: get,
      told,
      handler: async (ctx, req) => view(namespaceOf(req).namespace, await get(ctx, named(req))),
    }),
    route<Body>({
      method: "PUT",
      path: one,
      operation: update,
      body,
      told,
      handler: async (ctx, req) => {
        const { name: newName, definition } = readBody(req.body)
        return view(namespaceOf(req).namespace, await update(ctx, { ...named(req), newName, definition }))
      },
    }),
    route({
      method: "DELETE",
      path: one,
      operation: remove,
      handler: (ctx, req) => remove(ctx, named(req)),
    }),
  ]
}

/** Tags are made in other ways. */
function createRoute({ path, operations: { create }, body, told, view }: ItemList): Route {
  return route<Body>({
    method: "POST",
    path,
    operation: create,
    body,
    told,
    handler: async (ctx, req) => {
      const item = await create(ctx, { ...namespaceOf(req), ...readBody(req.body) })
      return view(namespaceOf(req).namespace, item)
    },
  })
}

const objects: ItemList = {
  path: `${base}/objects`,
  operations: metadefObjects,
  body: objectBody,
  told: told.object,
  view: viewObject,
  toldAll: told.objects,
  viewAll: (namespace, items) =>
    listing(
      "objects",
      namespace,
      items.map((item) => viewObject(namespace, item)),
    ),
}

const properties: ItemList = {
  path: `${base}/properties`,
  operations: metadefProperties,
  body: propertyBody,
  told: told.property,
  view: viewProperty,
  toldAll: told.properties,
  viewAll: (namespace, items) => ({
    properties: Object.fromEntries(items.map((item) => [item.name, viewProperty(namespace, item)])),
  }),
}

const namesOf = (items: readonly Item[]) => items.map(({ name }) => ({ name }))

const tags: ItemList = {
  path: `${base}/tags`,
  operations: metadefTags,
  body: tagBody,
  told: told.tag,
  view: viewTag,
  toldAll: told.tags,
  viewAll: (namespace, items) => listing("tags", namespace, namesOf(items)),
}

const nameMax = 80

const tagCreationRoutes: Route[] = [
  route({
    method: "POST",
    path: tags.path,
    operation: setMetadefTags,
    body: tagsBody,
    told: told.newTags,
    handler: async (ctx, req) => {
      const isAppend = String(req.headers["x-openstack-append"]).toLowerCase() === "true"
      const names = req.body.tags.map((tag) => readBody(tag).name)
      return { tags: namesOf(await setMetadefTags(ctx, { ...namespaceOf(req), names, isAppend })) }
    },
  }),
  route({
    method: "POST",
    path: `${tags.path}/{name}`,
    operation: metadefTags.create,
    told: told.tag,
    handler: async (ctx, req) => {
      const { namespace, name } = named(req)
      if (name.length > nameMax) throw invalid("name", `The name of a tag has at most ${nameMax} characters.`)
      const tag = await metadefTags.create(ctx, { namespace, name, definition: {} })
      const location = `${ctx.baseUrl}/image/v2/metadefs/namespaces/${namespace}/tags/${name}`
      return withHeaders(viewTag(namespace, tag), { location })
    },
  }),
]

export const metadefItemRoutes: Route[] = [
  createRoute(objects),
  ...itemRoutes(objects),
  createRoute(properties),
  ...itemRoutes(properties),
  ...tagCreationRoutes,
  ...itemRoutes(tags),
]
