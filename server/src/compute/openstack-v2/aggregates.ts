import { type Static, Type } from "typebox"
import { all, flag, nothing, one } from "../../api/openstack/shape.ts"
import { named, since, type Table, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import type { AnyOperation } from "../../platform/operation/operation.ts"
import { closed, dictionary, nullable, typed } from "../../platform/schema/make.ts"
import {
  type Aggregate,
  addAggregateHost,
  aggregateNoun,
  cacheAggregateImages,
  createAggregate,
  deleteAggregate,
  listAggregates,
  removeAggregateHost,
  setAggregateMetadata,
  showAggregate,
  updateAggregate,
} from "../index.ts"
import { bodyOf, bodyWith, fqdn, name, uuid } from "./schema-parts.ts"

const { fields } = aggregateNoun
const brief: Table<Aggregate> = {
  ...named(fields, { id: "id", name: "name", availability_zone: "zone" }),
  ...named(fields, { created_at: "createdAt", updated_at: "updatedAt" }),
  ...{ deleted: [flag, () => false], deleted_at: [nothing, () => null] },
  ...since("2.41", named(fields, { uuid: "uuid" })),
}
const aggregateBrief = view("AggregateBrief", brief)
const aggregate = view("Aggregate", { ...brief, ...named(fields, { hosts: "hosts", metadata: "metadata" }) })
const told = one("aggregate", aggregate.shows)

/** Who may not ask is told that, and not that the id is none. */
function idOf(ctx: Ctx, req: WireRequest, { rules }: Pick<AnyOperation, "rules">): { id: string } {
  const text = req.params.aggregate_id ?? ""
  const id = Number(text)
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(id)) {
    if (typeof rules !== "string") for (const rule of rules) ctx.policy.enforce(ctx.caller, rule)
    throw invalid("id", `Invalid input received: id must be an integer, and ${JSON.stringify(text)} is not.`)
  }
  return { id: String(id) }
}

/** A zone is named before a colon in a request for a server, so it has none itself. */
const zone = nullable(
  Type.String({ minLength: 1, maxLength: 255, pattern: "^(?!\\s)[^\\p{C}\\p{Zl}\\p{Zp}:]*(?<!\\s)$" }),
)
/** Spaces at the ends are taken off. */
const looseName = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: "^\\s*[^\\s\\p{C}][^\\p{C}\\p{Zl}\\p{Zp}]*$",
})
const updateBody = bodyWith(
  "aggregate",
  closed({ name: looseName, availability_zone: zone }, [], { minProperties: 1 }),
)

const hostAction = closed({ host: fqdn }, ["host"])
const metadata = dictionary("^[a-zA-Z0-9_:. -]{1,255}$", typed(["string", "null"], { maxLength: 255 }))
const actionBody = closed(
  { add_host: hostAction, remove_host: hostAction, set_metadata: bodyWith("metadata", metadata) },
  [],
  { minProperties: 1, maxProperties: 1 },
)

async function act(ctx: Ctx, req: WireRequest<Static<typeof actionBody>>): Promise<Aggregate> {
  const { add_host, remove_host, set_metadata } = req.body
  if (add_host) return await addAggregateHost(ctx, { ...idOf(ctx, req, addAggregateHost), ...add_host })
  if (remove_host)
    return await removeAggregateHost(ctx, { ...idOf(ctx, req, removeAggregateHost), ...remove_host })
  const given = set_metadata?.metadata ?? {}
  return await setAggregateMetadata(ctx, { ...idOf(ctx, req, setAggregateMetadata), metadata: given })
}

export const aggregateRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-aggregates",
    operation: listAggregates,
    told: all("aggregates", aggregate.shows),
    handler: async (ctx, req) => {
      const found = await listAggregates(ctx, {})
      return { aggregates: found.map((each) => aggregate.show(ctx, req, each)) }
    },
  }),
  route({
    method: "POST",
    path: "/os-aggregates",
    operation: createAggregate,
    told: one("aggregate", aggregateBrief.shows),
    body: bodyOf("aggregate", { name, availability_zone: zone }, ["name"]),
    handler: async (ctx, req) => {
      const body = req.body.aggregate
      const made = await createAggregate(ctx, { name: body.name, zone: body.availability_zone ?? null })
      return { aggregate: aggregateBrief.show(ctx, req, made) }
    },
  }),
  route({
    method: "GET",
    path: "/os-aggregates/{aggregate_id}",
    operation: showAggregate,
    told,
    handler: async (ctx, req) => ({
      aggregate: aggregate.show(ctx, req, await showAggregate(ctx, idOf(ctx, req, showAggregate))),
    }),
  }),
  route({
    method: "PUT",
    path: "/os-aggregates/{aggregate_id}",
    operation: updateAggregate,
    told,
    body: updateBody,
    handler: async (ctx, req) => {
      const body = req.body.aggregate
      const changed = await updateAggregate(ctx, {
        ...idOf(ctx, req, updateAggregate),
        changes: {
          ...(body.name !== undefined && { name: body.name.trim() }),
          ...(body.availability_zone !== undefined && { zone: body.availability_zone }),
        },
      })
      return { aggregate: aggregate.show(ctx, req, changed) }
    },
  }),
  route({
    method: "DELETE",
    path: "/os-aggregates/{aggregate_id}",
    operation: deleteAggregate,
    status: 200,
    handler: (ctx, req) => deleteAggregate(ctx, idOf(ctx, req, deleteAggregate)),
  }),
  route({
    method: "POST",
    path: "/os-aggregates/{aggregate_id}/action",
    actions: {
      add_host: addAggregateHost,
      remove_host: removeAggregateHost,
      set_metadata: setAggregateMetadata,
    },
    body: actionBody,
    told,
    handler: async (ctx, req) => ({ aggregate: aggregate.show(ctx, req, await act(ctx, req)) }),
  }),
  route({
    method: "POST",
    path: "/os-aggregates/{aggregate_id}/images",
    min: "2.81",
    operation: cacheAggregateImages,
    body: closed({ cache: Type.Array(closed({ id: uuid }, ["id"]), { minItems: 1 }) }, ["cache"]),
    status: 202,
    handler: (ctx, req) =>
      cacheAggregateImages(ctx, {
        ...idOf(ctx, req, cacheAggregateImages),
        imageIds: req.body.cache.map(({ id }) => id),
      }),
  }),
]
