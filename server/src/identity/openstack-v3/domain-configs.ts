import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { anyObject, keyed } from "../../platform/schema/make.ts"
import {
  deleteDomainConfig,
  getDefaultDomainConfig,
  getDomainConfig,
  replaceDomainConfig,
  updateDomainConfig,
} from "../index.ts"
import { given } from "./read.ts"

const body = keyed("config", anyObject)
/** The whole, a group of it, or an option. */
const told = { answer: keyed("config", {}) }

function place(req: WireRequest) {
  return given({
    domainId: req.params.domain_id ?? "",
    group: req.params.group,
    option: req.params.option,
  })
}

const depths = ["", "/{group}", "/{group}/{option}"]

export const domainConfigRoutes: readonly Route[] = [
  route({
    method: "PUT",
    path: "/domains/{domain_id}/config",
    operation: replaceDomainConfig,
    status: [200, 201],
    body,
    told,
    handler: async (ctx, req) => {
      const wanted = { domainId: req.params.domain_id ?? "", config: req.body.config }
      const { config, isNew } = await replaceDomainConfig(ctx, wanted)
      return reply(isNew ? 201 : 200, { config })
    },
  }),
  ...depths.flatMap((depth): Route[] => [
    route({
      method: "GET",
      path: `/domains/{domain_id}/config${depth}`,
      operation: getDomainConfig,
      told,
      handler: async (ctx, req) => ({ config: await getDomainConfig(ctx, place(req)) }),
    }),
    route({
      method: "PATCH",
      path: `/domains/{domain_id}/config${depth}`,
      operation: updateDomainConfig,
      body,
      told,
      handler: async (ctx, req) => ({
        config: await updateDomainConfig(ctx, { ...place(req), config: req.body.config }),
      }),
    }),
    route({
      method: "DELETE",
      path: `/domains/{domain_id}/config${depth}`,
      operation: deleteDomainConfig,
      handler: (ctx, req) => deleteDomainConfig(ctx, place(req)),
    }),
    route({
      method: "GET",
      path: `/domains/config${depth}/default`,
      operation: getDefaultDomainConfig,
      told,
      handler: async (ctx, req) => ({
        config: await getDefaultDomainConfig(
          ctx,
          given({ group: req.params.group, option: req.params.option }),
        ),
      }),
    }),
  ]),
]
