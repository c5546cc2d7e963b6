import type { Ctx } from "../../platform/context/context.ts"
import { type Route, route } from "../../platform/http/wire.ts"

/** 2.14 and 2.16 need an image cache, 2.17 locations; neither is there. */
const current = "2.15"
const supported = [
  "2.13",
  "2.12",
  "2.11",
  "2.10",
  "2.9",
  "2.8",
  "2.7",
  "2.6",
  "2.5",
  "2.4",
  "2.3",
  "2.2",
  "2.1",
  "2.0",
]

function versions(ctx: Ctx): unknown {
  const links = [{ rel: "self", href: `${ctx.baseUrl}/image/v2/` }]
  return {
    versions: [
      { id: `v${current}`, status: "CURRENT", links },
      ...supported.map((version) => ({ id: `v${version}`, status: "SUPPORTED", links })),
    ],
  }
}

export const versionRoutes: Route[] = [
  route({ method: "GET", path: "/", policy: "public", status: 300, handler: async (ctx) => versions(ctx) }),
  route({ method: "GET", path: "/versions", policy: "public", handler: async (ctx) => versions(ctx) }),
]
