// Version discovery: who speaks here, from which microversion to which.
import { Type } from "typebox"
import { all, each, links, shape, text } from "../../api/openstack/shape.ts"
import type { MicroversionPlan } from "../../platform/http/microversion.ts"
import { type Route, reply, route } from "../../platform/http/wire.ts"

export const microversions: MicroversionPlan = { serviceType: "volume", min: "3.0", max: "3.71" }

const media = Type.Array(Type.Object({ base: text, type: text }))
const told = all(
  "versions",
  shape("Version", { ...each("id status version min_version updated", text), links, "media-types": media }),
)

const document = (baseUrl: string) => ({
  versions: [
    {
      id: "v3.0",
      status: "CURRENT",
      version: microversions.max,
      min_version: microversions.min,
      updated: "2023-08-31T00:00:00Z",
      links: [
        { rel: "describedby", type: "text/html", href: "https://docs.openstack.org/" },
        { rel: "self", href: `${baseUrl}/volume/v3/` },
      ],
      "media-types": [{ base: "application/json", type: "application/vnd.openstack.volume+json;version=3" }],
    },
  ],
})

export const rootRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/",
    policy: "public",
    status: 300,
    told,
    handler: async (ctx) => reply(300, document(ctx.baseUrl)),
  }),
]

export const versionRoutes: readonly Route[] = [
  route({ method: "GET", path: "/", policy: "public", told, handler: async (ctx) => document(ctx.baseUrl) }),
]
