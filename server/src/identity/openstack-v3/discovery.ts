import { Type } from "typebox"
import { each, links, one, text } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"

/** The v3 that the client reached: below `/identity`, or at the root of the server. */
export function v3Url(ctx: Ctx, url: string): string {
  return `${ctx.baseUrl}${/^\/identity(\/|\?|$)/.test(url) ? "/identity" : ""}/v3`
}

function versionDocument(ctx: Ctx, url: string) {
  return {
    id: "v3.14",
    status: "stable",
    updated: "2020-04-07T00:00:00Z",
    links: [{ rel: "self", href: `${v3Url(ctx, url)}/` }],
    "media-types": [{ base: "application/json", type: "application/vnd.openstack.identity-v3+json" }],
  }
}

const media = Type.Array(Type.Object({ base: text, type: text }))
export const version = Type.Object({ ...each("id status updated", text), links, "media-types": media })

/** `GET /identity`, and `GET /` for who asks the whole server as if it were Keystone. */
export const versionsRoute = route({
  method: "GET",
  path: "/",
  policy: "public",
  status: 300,
  told: one("versions", Type.Object({ values: Type.Array(version) })),
  handler: async (ctx, req: WireRequest) =>
    withHeaders(
      { versions: { values: [versionDocument(ctx, req.url)] } },
      { Location: `${v3Url(ctx, req.url)}/` },
    ),
})

export const versionRoute = route({
  method: "GET",
  path: "",
  policy: "public",
  told: one("version", version),
  handler: async (ctx, req) => ({ version: versionDocument(ctx, req.url) }),
})
