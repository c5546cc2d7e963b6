import { all, links, shape, text } from "../../api/openstack/shape.ts"
import { type Route, reply, route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import {
  createResourceClass,
  deleteResourceClass,
  ensureResourceClass,
  getResourceClass,
  listResourceClasses,
  renameResourceClass,
} from "../index.ts"
import { checkCustom, nameOf } from "./custom-name.ts"
import { resourceClassPath } from "./reply.ts"
import { resourceClassBody } from "./schemas.ts"

const viewClass = (req: WireRequest, name: string) => ({
  name,
  links: [{ rel: "self", href: resourceClassPath(req, name) }],
})

const resourceClass = shape("ResourceClass", { name: text, links })

export const resourceClassRoutes: Route[] = [
  route({
    method: "GET",
    path: "/resource_classes",
    operation: listResourceClasses,
    told: all("resource_classes", resourceClass),
    min: "1.2",
    handler: async (ctx, req) => {
      const names = await listResourceClasses(ctx, {})
      return { resource_classes: names.map((name) => viewClass(req, name)) }
    },
  }),
  route({
    method: "POST",
    path: "/resource_classes",
    operation: createResourceClass,
    min: "1.2",
    body: resourceClassBody,
    handler: async (ctx, req) => {
      await createResourceClass(ctx, { name: req.body.name })
      const location = resourceClassPath(req, req.body.name)
      return withHeaders(undefined, { location: `${ctx.baseUrl}${location}` })
    },
  }),
  route({
    method: "GET",
    path: "/resource_classes/{name}",
    operation: getResourceClass,
    told: { answer: resourceClass },
    min: "1.2",
    handler: async (ctx, req) => {
      await getResourceClass(ctx, { name: nameOf(req) })
      return viewClass(req, nameOf(req))
    },
  }),
  route({
    method: "PUT",
    path: "/resource_classes/{name}",
    operation: renameResourceClass,
    told: { answer: resourceClass },
    min: "1.2",
    max: "1.6",
    body: resourceClassBody,
    handler: async (ctx, req) => {
      await renameResourceClass(ctx, { name: nameOf(req), newName: req.body.name })
      return viewClass(req, req.body.name)
    },
  }),
  route({
    method: "PUT",
    path: "/resource_classes/{name}",
    operation: ensureResourceClass,
    min: "1.7",
    status: [201, 204],
    handler: async (ctx, req) => {
      const name = nameOf(req)
      checkCustom(name, "resource class")
      const { isNew } = await ensureResourceClass(ctx, { name })
      const location = `${ctx.baseUrl}${resourceClassPath(req, name)}`
      return reply(isNew ? 201 : 204, undefined, { location })
    },
  }),
  route({
    method: "DELETE",
    path: "/resource_classes/{name}",
    operation: deleteResourceClass,
    min: "1.2",
    handler: (ctx, req) => deleteResourceClass(ctx, { name: nameOf(req) }),
  }),
]
