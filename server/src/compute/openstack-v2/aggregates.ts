import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { type JsonSchema, type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  type Aggregate,
  addAggregateHost,
  createAggregate,
  deleteAggregate,
  listAggregates,
  removeAggregateHost,
  setAggregateMetadata,
  showAggregate,
  updateAggregate,
  zoneOfAggregate,
} from "../index.ts"
import { bodyOf, fqdn, name } from "./schema-parts.ts"

/** Without a zone, as Nova writes the times of aggregates. */
const micros = (date: Date) => `${date.toISOString().slice(0, 23)}000`

function viewBrief(version: Microversion, aggregate: Aggregate) {
  return {
    id: aggregate.id,
    name: aggregate.name,
    availability_zone: zoneOfAggregate(aggregate),
    created_at: micros(aggregate.createdAt),
    updated_at: aggregate.updatedAt && micros(aggregate.updatedAt),
    deleted: false,
    deleted_at: null,
    ...(atLeast(version, "2.41") && { uuid: aggregate.uuid }),
  }
}

function view(version: Microversion, aggregate: Aggregate) {
  return { ...viewBrief(version, aggregate), hosts: aggregate.hosts, metadata: aggregate.metadata }
}

function idOf(req: WireRequest): number {
  const text = req.params.aggregate_id ?? ""
  const id = Number(text)
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(id))
    throw invalid("id", `Invalid input received: id must be an integer, and ${JSON.stringify(text)} is not.`)
  return id
}

/** A zone is named before a colon in a request for a server, so it has none itself. */
const zone: JsonSchema = {
  anyOf: [{ ...name, pattern: "^(?!\\s)[^\\p{C}\\p{Zl}\\p{Zp}:]*(?<!\\s)$" }, { type: "null" }],
}
/** Spaces at the ends are taken off. */
const looseName: JsonSchema = { ...name, pattern: "^\\s*[^\\s\\p{C}][^\\p{C}\\p{Zl}\\p{Zp}]*$" }

interface AggregateBody {
  aggregate: { name?: string; availability_zone?: string | null }
}

interface ActionBody {
  add_host?: { host: string }
  remove_host?: { host: string }
  set_metadata?: { metadata: Record<string, string | null> }
}

const hostAction: JsonSchema = {
  type: "object",
  properties: { host: fqdn },
  required: ["host"],
  additionalProperties: false,
}

const actionSchema: JsonSchema = {
  type: "object",
  properties: {
    add_host: hostAction,
    remove_host: hostAction,
    set_metadata: {
      type: "object",
      properties: {
        metadata: {
          type: "object",
          patternProperties: {
            "^[a-zA-Z0-9_:. -]{1,255}$": { type: ["string", "null"], maxLength: 255 },
          },
          additionalProperties: false,
        },
      },
      required: ["metadata"],
      additionalProperties: false,
    },
  },
  minProperties: 1,
  maxProperties: 1,
  additionalProperties: false,
}

async function act(ctx: Ctx, req: WireRequest<ActionBody>): Promise<Aggregate> {
  const aggregateId = idOf(req)
  const { add_host, remove_host, set_metadata } = req.body
  if (add_host) return await addAggregateHost(ctx, { aggregateId, host: add_host.host })
  if (remove_host) return await removeAggregateHost(ctx, { aggregateId, host: remove_host.host })
  return await setAggregateMetadata(ctx, { aggregateId, metadata: set_metadata?.metadata ?? {} })
}

export const aggregateRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-aggregates",
    operation: listAggregates,
    handler: async (ctx, req) => {
      const found = await listAggregates(ctx, {})
      return { aggregates: found.map((aggregate) => view(req.version, aggregate)) }
    },
  }),
  route<AggregateBody>({
    method: "POST",
    path: "/os-aggregates",
    operation: createAggregate,
    body: bodyOf("aggregate", { name, availability_zone: zone }, ["name"]),
    handler: async (ctx, req) => {
      const body = req.body.aggregate
      const made = await createAggregate(ctx, { name: body.name ?? "", zone: body.availability_zone ?? null })
      return { aggregate: viewBrief(req.version, made) }
    },
  }),
  route({
    method: "GET",
    path: "/os-aggregates/{aggregate_id}",
    operation: showAggregate,
    handler: async (ctx, req) => ({
      aggregate: view(req.version, await showAggregate(ctx, { aggregateId: idOf(req) })),
    }),
  }),
  route<AggregateBody>({
    method: "PUT",
    path: "/os-aggregates/{aggregate_id}",
    operation: updateAggregate,
    body: {
      type: "object",
      properties: {
        aggregate: {
          type: "object",
          properties: { name: looseName, availability_zone: zone },
          minProperties: 1,
          additionalProperties: false,
        },
      },
      required: ["aggregate"],
      additionalProperties: false,
    },
    handler: async (ctx, req) => {
      const body = req.body.aggregate
      const changed = await updateAggregate(ctx, {
        aggregateId: idOf(req),
        ...(body.name !== undefined && { name: body.name.trim() }),
        ...(body.availability_zone !== undefined && { zone: body.availability_zone }),
      })
      return { aggregate: view(req.version, changed) }
    },
  }),
  route({
    method: "DELETE",
    path: "/os-aggregates/{aggregate_id}",
    operation: deleteAggregate,
    status: 200,
    handler: async (ctx, req) => {
      await deleteAggregate(ctx, { aggregateId: idOf(req) })
      return reply(200)
    },
  }),
  route<ActionBody>({
    method: "POST",
    path: "/os-aggregates/{aggregate_id}/action",
    actions: {
      add_host: addAggregateHost,
      remove_host: removeAggregateHost,
      set_metadata: setAggregateMetadata,
    },
    body: actionSchema,
    handler: async (ctx, req) => ({ aggregate: view(req.version, await act(ctx, req)) }),
  }),
]
