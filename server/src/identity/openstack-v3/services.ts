import { Type } from "typebox"
import { rare, text } from "../../api/openstack/shape.ts"
import { typed } from "../../platform/schema/make.ts"
import {
  createService,
  deleteService,
  getService,
  listServices,
  serviceNoun,
  updateService,
} from "../index.ts"
import { resourceRoutes, viewOf } from "./resource.ts"
import { description, strictBoolean } from "./schema.ts"

export const serviceRoutes = resourceRoutes({
  noun: serviceNoun,
  singular: "service",
  view: viewOf(
    serviceNoun,
    ({ id }) => `services/${id}`,
    ({ name, description }) => ({ name: name ?? "", description: description ?? undefined }),
    { name: text, description: rare(text) },
  ),
  properties: {
    type: Type.String({ minLength: 1, maxLength: 255 }),
    name: typed(["string", "null"], { maxLength: 255 }),
    description,
    enabled: strictBoolean,
  },
  required: ["type"],
  list: listServices,
  get: getService,
  create: createService,
  update: updateService,
  remove: deleteService,
})
