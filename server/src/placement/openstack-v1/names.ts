// Resource classes and traits.

import { invalid } from "../../platform/fault/fault.ts"
import { type Route, reply, route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import {
  createResourceClass,
  deleteResourceClass,
  deleteTrait,
  ensureResourceClass,
  ensureTrait,
  listResourceClasses,
  listTraits,
  renameResourceClass,
  showResourceClass,
  showTrait,
} from "../index.ts"
import { checkQuery, one } from "./query.ts"
import { answer, checkAccept, requireJson, resourceClassPath, traitPath } from "./reply.ts"
import { resourceClassBody } from "./schemas.ts"

const nameOf = (req: WireRequest) => req.params.name ?? ""
const customPattern = /^CUSTOM_[A-Z0-9_]+$/

function checkCustom(name: string, what: string): void {
  if (customPattern.test(name) && name.length <= 255) return
  throw invalid(
    "name",
    `The ${what} is invalid. A valid ${what} must be no longer than 255 characters, start with the prefix ` +
      `"CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_". Got: ${name}. It does not match ` +
      "^CUSTOM_[A-Z0-9_]+$.",
  )
}

const viewClass = (req: WireRequest, name: string) => ({
  name,
  links: [{ rel: "self", href: resourceClassPath(req, name) }],
})

const classRoutes: Route[] = [
  route({
    method: "GET",
    path: "/resource_classes",
    operation: listResourceClasses,
    min: "1.2",
    handler: async (ctx, req) => {
      checkAccept(req)
      const names = await listResourceClasses(ctx, {})
      return answer(ctx, req, { resource_classes: names.map((name) => viewClass(req, name)) })
    },
  }),
  route({
    method: "POST",
    path: "/resource_classes",
    operation: createResourceClass,
    min: "1.2",
    body: resourceClassBody,
    handler: async (ctx, req) => {
      requireJson(req)
      await createResourceClass(ctx, { name: req.body.name })
      const location = resourceClassPath(req, req.body.name)
      return withHeaders(undefined, { location: `${ctx.baseUrl}${location}` })
    },
  }),
  route({
    method: "GET",
    path: "/resource_classes/{name}",
    operation: showResourceClass,
    min: "1.2",
    handler: async (ctx, req) => {
      checkAccept(req)
      await showResourceClass(ctx, { name: nameOf(req) })
      return answer(ctx, req, viewClass(req, nameOf(req)))
    },
  }),
  route({
    method: "PUT",
    path: "/resource_classes/{name}",
    operation: renameResourceClass,
    min: "1.2",
    max: "1.6",
    body: resourceClassBody,
    handler: async (ctx, req) => {
      requireJson(req)
      await renameResourceClass(ctx, { name: nameOf(req), newName: req.body.name })
      return answer(ctx, req, viewClass(req, req.body.name))
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
    handler: async (ctx, req) => {
      await deleteResourceClass(ctx, { name: nameOf(req) })
    },
  }),
]

const traitRoutes: Route[] = [
  route({
    method: "GET",
    path: "/traits",
    operation: listTraits,
    min: "1.6",
    handler: async (ctx, req) => {
      checkAccept(req)
      return answer(ctx, req, { traits: await listTraits(ctx, readTraitQuery(req)) })
    },
  }),
  route({
    method: "GET",
    path: "/traits/{name}",
    operation: showTrait,
    min: "1.6",
    status: 204,
    handler: async (ctx, req) => {
      await showTrait(ctx, { name: nameOf(req) })
      return answer(ctx, req, undefined)
    },
  }),
  route({
    method: "PUT",
    path: "/traits/{name}",
    operation: ensureTrait,
    min: "1.6",
    status: [201, 204],
    handler: async (ctx, req) => {
      const name = nameOf(req)
      checkCustom(name, "trait")
      const { isNew } = await ensureTrait(ctx, { name })
      return answer(ctx, req, undefined, {
        status: isNew ? 201 : 204,
        location: traitPath(req, name),
      })
    },
  }),
  route({
    method: "DELETE",
    path: "/traits/{name}",
    operation: deleteTrait,
    min: "1.6",
    handler: async (ctx, req) => {
      await deleteTrait(ctx, { name: nameOf(req) })
    },
  }),
]

function readTraitQuery(req: WireRequest) {
  checkQuery(req, ["name", "associated"])
  const [name, associated] = [one(req, "name"), one(req, "associated")?.toLowerCase()]
  if (associated !== undefined && associated !== "true" && associated !== "false")
    throw invalid("associated", 'The query parameter "associated" only accepts "true" or "false"')
  const isAssociated = associated === undefined ? null : associated === "true"
  if (name === undefined) return { names: null, prefix: null, isAssociated }
  const colon = name.indexOf(":")
  const [op, value] = [name.slice(0, colon), name.slice(colon + 1)]
  if (colon < 0) {
    throw invalid(
      "name",
      "Badly formatted name parameter. Expected name query string parameter in form: " +
        `?name=[in|startswith]:[name1,name2|prefix]. Got: "${name}"`,
    )
  }
  return {
    names: op === "in" ? value.split(",") : null,
    prefix: op === "startswith" ? value : null,
    isAssociated,
  }
}

export const nameRoutes: Route[] = [...classRoutes, ...traitRoutes]
