import { all, links, shape, text, versionList } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Route, route } from "../../platform/http/wire.ts"

/** Nouns that GET /v2.0/ names. */
const nouns = [
  ["network", "networks"],
  ["subnet", "subnets"],
  ["port", "ports"],
  ["router", "routers"],
  ["floatingip", "floatingips"],
  ["security-group", "security-groups"],
  ["security-group-rule", "security-group-rules"],
  ["subnetpool", "subnetpools"],
  ["address-scope", "address-scopes"],
  ["quota", "quotas"],
  ["agent", "agents"],
  ["extension", "extensions"],
] as const

function versions(ctx: Ctx) {
  return {
    versions: [
      { id: "v2.0", status: "CURRENT", links: [{ rel: "self", href: `${ctx.baseUrl}/network/v2.0/` }] },
    ],
  }
}

export const versionRootRoutes: Route[] = [
  route({
    method: "GET",
    path: "/",
    policy: "public",
    told: versionList,
    handler: async (ctx) => versions(ctx),
  }),
]

export const versionRoutes: Route[] = [
  route({
    method: "GET",
    path: "/",
    policy: "public",
    told: all("resources", shape("ResourceLink", { name: text, collection: text, links })),
    handler: async (ctx) => ({
      resources: nouns.map(([name, collection]) => ({
        name,
        collection,
        links: [{ rel: "self", href: `${ctx.baseUrl}/network/v2.0/${collection}` }],
      })),
    }),
  }),
]
