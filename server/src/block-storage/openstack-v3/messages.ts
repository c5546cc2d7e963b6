import { links, one, page as pageOf, text } from "../../api/openstack/shape.ts"
import { named, view } from "../../api/openstack/view.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { deleteMessage, getMessage, listMessages, type Message, messageNoun } from "../index.ts"
import { messageRules as rules } from "./list-rules.ts"
import { linksOf, nextLink, readList, toldList } from "./parts.ts"

const { fields } = messageNoun
const min = "3.3"
const idOf = ({ params }: Pick<WireRequest, "params">) => params.message_id ?? ""

const message = view<Message>("Message", {
  ...named(fields, [
    "id",
    "resourceType",
    "resourceId",
    "eventId",
    "text",
    "requestId",
    "createdAt",
    "expiresAt",
  ]),
  message_level: [text, () => "ERROR"],
  links: [links, ({ id }, ctx) => linksOf(ctx, `messages/${id}`)],
})

export const messageRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/messages",
    min,
    operation: listMessages,
    told: { ...toldList(rules), ...pageOf("messages", message.shows) },
    handler: async (ctx, req) => {
      const found = await listMessages(ctx, readList(ctx, req, rules))
      return {
        messages: found.items.map((each) => message.show(ctx, req, each)),
        ...nextLink(ctx, req, "messages", found),
      }
    },
  }),
  route({
    method: "GET",
    path: "/messages/{message_id}",
    min,
    operation: getMessage,
    told: one("message", message.shows),
    handler: async (ctx, req) => ({
      message: message.show(ctx, req, await getMessage(ctx, { id: idOf(req) })),
    }),
  }),
  route({
    method: "DELETE",
    path: "/messages/{message_id}",
    min,
    status: 204,
    operation: deleteMessage,
    handler: async (ctx, req) => await deleteMessage(ctx, { id: idOf(req) }),
  }),
]
