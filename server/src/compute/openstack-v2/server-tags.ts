import { Type } from "typebox"
import { one, texts } from "../../api/openstack/shape.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  addServerTag,
  badRequest,
  checkServerTag,
  clearServerTags,
  listServerTags,
  removeServerTag,
  replaceServerTags,
  tagNotFound,
} from "../index.ts"
import { bodyWith, tag } from "./schema-parts.ts"

const idOf = (req: WireRequest) => req.params.server_id ?? ""

const tagsBody = bodyWith("tags", Type.Array(tag, { maxItems: 50 }))

export const serverTagRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers/{server_id}/tags",
    min: "2.26",
    operation: listServerTags,
    told: one("tags", texts),
    handler: async (ctx, req) => ({
      tags: (await listServerTags(ctx, { serverId: idOf(req) })).server.tags,
    }),
  }),
  route({
    method: "PUT",
    path: "/servers/{server_id}/tags",
    min: "2.26",
    operation: replaceServerTags,
    body: tagsBody,
    told: one("tags", texts),
    handler: async (ctx, req) => ({
      tags: await replaceServerTags(ctx, { serverId: idOf(req), tags: req.body.tags }),
    }),
  }),
  route({
    method: "DELETE",
    path: "/servers/{server_id}/tags",
    min: "2.26",
    operation: clearServerTags,
    handler: (ctx, req) => clearServerTags(ctx, { serverId: idOf(req) }),
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/tags/{tag}",
    min: "2.26",
    operation: checkServerTag,
    status: 204,
    handler: async (ctx, req) => {
      const wanted = req.params.tag ?? ""
      const { server } = await checkServerTag(ctx, { serverId: idOf(req) })
      if (!server.tags.includes(wanted)) throw tagNotFound(idOf(req), wanted)
    },
  }),
  route({
    method: "PUT",
    path: "/servers/{server_id}/tags/{tag}",
    min: "2.26",
    operation: addServerTag,
    status: [201, 204],
    handler: async (ctx, req) => {
      const wanted = req.params.tag ?? ""
      if (wanted.length > 60 || /[,/]/.test(wanted))
        throw badRequest(
          `Tag '${wanted}' is invalid. It must be a string without characters '/' and ',' and of 60 characters at the most.`,
        )
      const { isNew } = await addServerTag(ctx, { serverId: idOf(req), tag: wanted })
      const location = `${ctx.baseUrl}/compute/v2.1/servers/${idOf(req)}/tags/${encodeURIComponent(wanted)}`
      return isNew ? reply(201, undefined, { location }) : reply(204)
    },
  }),
  route({
    method: "DELETE",
    path: "/servers/{server_id}/tags/{tag}",
    min: "2.26",
    operation: removeServerTag,
    handler: (ctx, req) => removeServerTag(ctx, { serverId: idOf(req), tag: req.params.tag ?? "" }),
  }),
]
