import { Type } from "typebox"
import { createDomain, deleteDomain, domainNoun, getDomain, listDomains, updateDomain } from "../index.ts"
import { viewDomain } from "./projects-view.ts"
import { resourceRoutes } from "./resource.ts"
import { boolean, description, options, placeName, tags } from "./schema.ts"

export const domainRoutes = resourceRoutes({
  noun: domainNoun,
  singular: "domain",
  view: viewDomain,
  properties: { name: placeName, enabled: boolean, description, tags, options },
  created: { explicit_domain_id: Type.String({ pattern: "^[a-zA-Z0-9]{32}$" }) },
  required: ["name"],
  list: listDomains,
  get: getDomain,
  create: createDomain,
  update: updateDomain,
  remove: deleteDomain,
})
