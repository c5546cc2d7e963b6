import { versionList } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Route, route } from "../../platform/http/wire.ts"

const current = "2.18"
const supported = Array.from({ length: 18 }, (_, older) => `2.${17 - older}`)

function versions(ctx: Ctx): unknown {
  const links = [{ rel: "self", href: `${ctx.baseUrl}/image/v2/` }]
  return {
    versions: [
      { id: `v${current}`, status: "CURRENT", links },
      ...supported.map((version) => ({ id: `v${version}`, status: "SUPPORTED", links })),
    ],
  }
}

const root = {
  method: "GET",
  policy: "public",
  told: versionList,
  handler: async (ctx: Ctx) => versions(ctx),
} as const

export const versionRoutes: Route[] = [
  route({ ...root, path: "/", status: 300 }),
  route({ ...root, path: "/versions" }),
]
