// Small extensions: OAuth 1 consumers, revocation events, and the federation's names of two lists.

import { Type } from "typebox"
import { queryText } from "../../platform/http/query.ts"
import { gone } from "../../platform/http/versions.ts"
import { type Route, route } from "../../platform/http/wire.ts"
import type { ThingOf } from "../../platform/noun/field.ts"
import {
  consumerNoun,
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
import { viewDomain, viewProject } from "./projects-view.ts"
import { given } from "./read.ts"
import { resourceRoutes, viewAlso, viewOf } from "./resource.ts"
import { description, text, textOrNull } from "./schema.ts"
import { listRoute } from "./shown-routes.ts"
import { listOf, textQuery } from "./told.ts"
import { listReply } from "./view.ts"

const viewConsumer = viewOf(
  consumerNoun,
  ({ id }) => `OS-OAUTH1/consumers/${id}`,
  () => ({ secret: undefined }),
  { secret: gone },
)
const event = Type.Object({ audit_id: textOrNull, issued_before: text })

const consumerRoutes = resourceRoutes({
  noun: consumerNoun,
  singular: "consumer",
  prefix: "/OS-OAUTH1",
  view: viewConsumer,
  viewNew: viewAlso(
    viewConsumer,
    "NewConsumer",
    { secret: text },
    ({ secret }: ThingOf<typeof consumerNoun.fields>) => ({ secret }),
  ),
  properties: { description },
  changed: { secret: text },
  isEmptyChange: true,
  list: listConsumers,
  get: getConsumer,
  create: createConsumer,
  update: updateConsumer,
  remove: deleteConsumer,
})

export const extensionRoutes: readonly Route[] = [
  ...consumerRoutes,
  route({
    method: "GET",
    path: "/OS-REVOKE/events",
    operation: listRevocationEvents,
    told: { query: textQuery("since"), ...listOf("events", event) },
    handler: async (ctx, req) => {
      const events = await listRevocationEvents(ctx, given({ since: queryText(req.query, "since") }))
      return listReply(ctx, req, "events", events, (_ctx, _req, event) => ({
        audit_id: event.audit_id,
        issued_before: timeText(event.issued_before.getTime()),
      }))
    },
  }),
  listRoute("/OS-FEDERATION/projects", listOwnProjects, () => ({}), ["projects", viewProject]),
  listRoute("/OS-FEDERATION/domains", listOwnDomains, () => ({}), ["domains", viewDomain]),
]
