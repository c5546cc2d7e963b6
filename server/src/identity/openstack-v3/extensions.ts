// Small extensions: OAuth 1 consumers, revocation events, and the federation's names of two lists.

import type { Ctx } from "../../platform/context/context.ts"
import { queryText } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  type ConsumerRow,
  createConsumer,
  deleteConsumer,
  getConsumer,
  listConsumers,
  listOwnDomains,
  listOwnProjects,
  listRevocationEvents,
  timeText,
  updateConsumer,
} from "../index.ts"
import { admitToOne } from "./admit.ts"
import { viewDomain, viewProject } from "./projects-view.ts"
import { extraOf, given, readList } from "./read.ts"
import { description, member, text } from "./schema.ts"
import { linkTo, listReply, pageReply } from "./view.ts"

const known = ["id", "description", "secret", "links"]

function viewConsumer(ctx: Ctx, req: WireRequest, row: ConsumerRow): Record<string, unknown> {
  const links = linkTo(ctx, req, `OS-OAUTH1/consumers/${row.id}`)
  return { ...row.extra, id: row.id, description: row.description, links }
}

const consumerRoutes = [
  route({
    method: "GET",
    path: "/OS-OAUTH1/consumers",
    operation: listConsumers,
    handler: async (ctx, req) =>
      pageReply(ctx, req, "consumers", await listConsumers(ctx, readList(req.query, {})), viewConsumer),
  }),
  route({
    method: "POST",
    path: "/OS-OAUTH1/consumers",
    operation: createConsumer,
    body: member("consumer", { description }),
    handler: async (ctx, req) => {
      const { consumer } = req.body
      const row = await createConsumer(
        ctx,
        given({ description: consumer.description, extra: extraOf(consumer, known) }),
      )
      return { consumer: { ...viewConsumer(ctx, req, row), secret: row.secret } }
    },
  }),
  route({
    method: "GET",
    path: "/OS-OAUTH1/consumers/{consumer_id}",
    operation: getConsumer,
    handler: async (ctx, req) => ({
      consumer: viewConsumer(ctx, req, await getConsumer(ctx, { id: req.params.consumer_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/OS-OAUTH1/consumers/{consumer_id}",
    operation: updateConsumer,
    body: member("consumer", { description, secret: text }),
    admit: admitToOne(updateConsumer, "consumer"),
    handler: async (ctx, req) => {
      const { consumer } = req.body
      const row = await updateConsumer(ctx, {
        id: req.params.consumer_id ?? "",
        ...given({
          description: consumer.description,
          secret: consumer.secret,
          extra: extraOf(consumer, known),
        }),
      })
      return { consumer: viewConsumer(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/OS-OAUTH1/consumers/{consumer_id}",
    operation: deleteConsumer,
    handler: async (ctx, req) => {
      await deleteConsumer(ctx, { id: req.params.consumer_id ?? "" })
    },
  }),
]

export const extensionRoutes: readonly Route[] = [
  ...consumerRoutes,
  route({
    method: "GET",
    path: "/OS-REVOKE/events",
    operation: listRevocationEvents,
    handler: async (ctx, req) => {
      const events = await listRevocationEvents(ctx, given({ since: queryText(req.query, "since") }))
      return listReply(
        ctx,
        req,
        "events",
        events.map((event) => ({
          audit_id: event.audit_id,
          issued_before: timeText(event.issued_before.getTime()),
        })),
      )
    },
  }),
  route({
    method: "GET",
    path: "/OS-FEDERATION/projects",
    operation: listOwnProjects,
    handler: async (ctx, req) =>
      listReply(
        ctx,
        req,
        "projects",
        (await listOwnProjects(ctx, {})).map((row) => viewProject(ctx, req, row)),
      ),
  }),
  route({
    method: "GET",
    path: "/OS-FEDERATION/domains",
    operation: listOwnDomains,
    handler: async (ctx, req) =>
      listReply(
        ctx,
        req,
        "domains",
        (await listOwnDomains(ctx, {})).map((row) => viewDomain(ctx, req, row)),
      ),
  }),
]
