import { type TSchema, Type } from "typebox"
import { all, one, text } from "../../api/openstack/shape.ts"
import { route } from "../../platform/http/wire.ts"
import { closed, keyed, typed } from "../../platform/schema/make.ts"
import {
  createLimits,
  createRegisteredLimits,
  deleteLimit,
  deleteRegisteredLimit,
  getLimit,
  getLimitModel,
  getRegisteredLimit,
  limitNoun,
  listLimits,
  listRegisteredLimits,
  registeredLimitNoun,
  updateLimit,
  updateRegisteredLimit,
} from "../index.ts"
import { type ResourceDefinition, readerOf, resourceRoutes, viewOf } from "./resource.ts"
import { description, looseId, name } from "./schema.ts"

const limitValue = Type.Integer({ minimum: -1, maximum: 0x7fff_ffff })
const nullable = typed(["string", "null"], { maxLength: 255 })

const registered = {
  service_id: looseId,
  region_id: nullable,
  resource_name: name,
  default_limit: limitValue,
  description,
}

/** `{<key>: [{…}, …]}` */
const several = <K extends string, T extends TSchema>(key: K, item: T) =>
  keyed(key, Type.Array(item, { minItems: 1 }), { additionalProperties: false })

const registeredLimit = {
  noun: registeredLimitNoun,
  singular: "registered_limit",
  view: viewOf(registeredLimitNoun, ({ id }) => `registered_limits/${id}`),
  properties: registered,
  isEmptyChange: true,
  isClosed: true,
  list: listRegisteredLimits,
  get: getRegisteredLimit,
  update: updateRegisteredLimit,
  remove: deleteRegisteredLimit,
} satisfies ResourceDefinition<typeof registeredLimitNoun.fields>

export const registeredLimitRoutes = [
  ...resourceRoutes(registeredLimit),
  route({
    method: "POST",
    path: "/registered_limits",
    operation: createRegisteredLimits,
    told: all("registered_limits", registeredLimit.view.shows),
    body: several("registered_limits", closed(registered, ["service_id", "resource_name", "default_limit"])),
    handler: async (ctx, req) => {
      const limits = req.body.registered_limits.map(readerOf(registeredLimit).create)
      const made = await createRegisteredLimits(ctx, { limits })
      return { registered_limits: made.map((one) => registeredLimit.view(ctx, req, one)) }
    },
  }),
]

const limit = {
  noun: limitNoun,
  singular: "limit",
  view: viewOf(limitNoun, ({ id }) => `limits/${id}`),
  properties: { resource_limit: limitValue, description },
  isEmptyChange: true,
  isClosed: true,
  list: listLimits,
  get: getLimit,
  update: updateLimit,
  remove: deleteLimit,
} satisfies ResourceDefinition<typeof limitNoun.fields>

const newLimit = {
  service_id: looseId,
  region_id: nullable,
  resource_name: name,
  resource_limit: limitValue,
  project_id: nullable,
  domain_id: nullable,
  description,
}

export const limitRoutes = [
  route({
    method: "GET",
    path: "/limits/model",
    operation: getLimitModel,
    told: one("model", Type.Object({ name: text, description: text })),
    handler: async (ctx) => ({ model: await getLimitModel(ctx, {}) }),
  }),
  ...resourceRoutes(limit),
  route({
    method: "POST",
    path: "/limits",
    operation: createLimits,
    told: all("limits", limit.view.shows),
    body: several("limits", closed(newLimit, ["service_id", "resource_name", "resource_limit"])),
    handler: async (ctx, req) => {
      const made = await createLimits(ctx, { limits: req.body.limits.map(readerOf(limit).create) })
      return { limits: made.map((one) => limit.view(ctx, req, one)) }
    },
  }),
]
