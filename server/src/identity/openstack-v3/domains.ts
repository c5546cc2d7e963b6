import { Type } from "typebox"
import { route } from "../../platform/http/wire.ts"
import type { Fields } from "../../platform/schema/make.ts"
import { createDomain, deleteDomain, getDomain, listDomains, updateDomain } from "../index.ts"
import { admitToOne } from "./admit.ts"
import { viewDomain } from "./projects-view.ts"
import { extraOf, given, readBoolean, readOldList, requireSameId } from "./read.ts"
import { boolean, description, member, options, placeName, tags } from "./schema.ts"
import { pageReply } from "./view.ts"

const properties = { name: placeName, enabled: boolean, description, tags, options }
const created = { ...properties, explicit_domain_id: Type.String({ pattern: "^[a-zA-Z0-9]{32}$" }) }
const known = [...Object.keys(created), "id", "links"]

function readDomain(body: Fields<typeof properties>) {
  return given({
    isEnabled: readBoolean(body.enabled),
    description: body.description,
    tags: body.tags,
    options: body.options,
    extra: extraOf(body, known),
  })
}

export const domainRoutes = [
  route({
    method: "GET",
    path: "/domains",
    operation: listDomains,
    handler: async (ctx, req) => {
      const list = await listDomains(ctx, readOldList(req.query, { name: "text", enabled: "boolean" }))
      return pageReply(ctx, req, "domains", list, viewDomain)
    },
  }),
  route({
    method: "POST",
    path: "/domains",
    operation: createDomain,
    body: member("domain", created, { required: ["name"] }),
    handler: async (ctx, req) => {
      const { domain } = req.body
      const row = await createDomain(ctx, {
        name: domain.name,
        ...given({ explicitId: domain.explicit_domain_id }),
        ...readDomain(domain),
      })
      return { domain: viewDomain(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/domains/{domain_id}",
    operation: getDomain,
    handler: async (ctx, req) => ({
      domain: viewDomain(ctx, req, await getDomain(ctx, { id: req.params.domain_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/domains/{domain_id}",
    operation: updateDomain,
    body: member("domain", properties, { minProperties: 1 }),
    admit: admitToOne(updateDomain, "domain"),
    handler: async (ctx, req) => {
      const id = req.params.domain_id ?? ""
      const { domain } = req.body
      requireSameId(domain, id)
      const row = await updateDomain(ctx, { id, ...given({ name: domain.name }), ...readDomain(domain) })
      return { domain: viewDomain(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/domains/{domain_id}",
    operation: deleteDomain,
    handler: async (ctx, req) => {
      await deleteDomain(ctx, { id: req.params.domain_id ?? "" })
    },
  }),
]
