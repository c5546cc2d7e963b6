// Host aggregates: named sets of hosts; one with a zone makes an availability zone. Who may is decided before what is
// there: to others they do not exist at all.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { integer, nullable, structure, text, texts, time, uuid } from "../../platform/noun/field.ts"
import { insertThing, listThings, loadThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, ThingInput } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { refreshRatios } from "../host/ratio.ts"
import type {} from "../tables.ts"
import { everything, type Viewer } from "../viewer.ts"
import { aggregateNameTaken, aggregateNotEmpty, aggregateNotFound, aggregateZoneRefused } from "./faults.ts"
import { lockAggregates, selectZoneFacts } from "./store.ts"
import { changedMetadata, type MetadataChanges, withZone, zoneChangeRefusal } from "./zone.ts"

const rules = "os_compute_api:os-aggregates"
const Name = Type.String({ minLength: 1, maxLength: 255 })

export const aggregateNoun = noun({
  name: "compute.aggregate",
  table: sql`compute.aggregate`,
  alias: "a",
  order: [{ key: "id", direction: "asc" }],
  fields: {
    id: integer(sql`a.id`),
    uuid: uuid(sql`a.uuid`),
    name: text(sql`a.name`, { create: "required", update: true, input: Name }),
    zone: nullable(text(sql`a.metadata->>'availability_zone'`, { create: true, update: true })),
    metadata: structure(Type.Record(Type.String(), Type.String()), sql`a.metadata`),
    hosts: texts(sql`array(select h.host from compute.aggregate_host h where h.aggregate_id = a.id
      order by h.added_at, h.host)`),
    createdAt: time(sql`a.created_at`),
    /** Of the last change of name or metadata. */
    updatedAt: nullable(time(sql`a.updated_at`)),
  },
  visible: (_viewer: Viewer) => visibleToAll,
  notFound: aggregateNotFound,
})

export type Aggregate = Thing<typeof aggregateNoun>

/** All of them: the API has no pages. */
export const listAggregates = operation({
  name: "compute.aggregate.list",
  input: Type.Object({}),
  rule: `${rules}:index`,
  run: (ctx) => listThings(ctx.db, aggregateNoun, everything),
})

export const showAggregate = getOf(aggregateNoun, {
  viewer: () => everything,
  isRefusedFirst: true,
  rule: `${rules}:show`,
})

export const createAggregate = operation({
  name: "compute.aggregate.create",
  input: aggregateNoun.create,
  faults: [aggregateNameTaken],
  rule: `${rules}:create`,
  run: (ctx, { name, zone }) =>
    transact(ctx.db, async (tx) => {
      const metadata = zone === undefined || zone === null ? {} : withZone(zone)
      const made = await insertThing(tx, aggregateNoun, everything, {
        values: { uuid: newUuid(), name, metadata: jsonb(metadata), created_at: ctx.clock.now() },
        constraint: "aggregate_name_key",
      })
      if (!made) throw aggregateNameTaken(name)
      await notify(ctx, tx, "create", made)
      return made
    }),
})

/** One aggregate under the lock of all: `change` looks at it and says what happened to it. */
export async function changeAggregate(
  ctx: Ctx,
  id: string,
  change: (tx: Tx, aggregate: Aggregate) => Promise<{ event: string; host?: string }>,
): Promise<Aggregate> {
  return await transact(ctx.db, async (tx) => {
    await lockAggregates(tx)
    const before = await loadThing(tx, aggregateNoun, everything, id)
    const { event, host } = await change(tx, before)
    const after = event === "delete" ? before : await loadThing(tx, aggregateNoun, everything, id)
    // Its metadata say how much of its hosts is sold.
    await refreshRatios(ctx, tx, [...new Set([...before.hosts, ...after.hosts])])
    await notify(ctx, tx, event, after, host)
    return after
  })
}

async function changeProperties(
  ctx: Ctx,
  tx: Tx,
  aggregate: Aggregate,
  changes: { name?: string; metadata?: MetadataChanges },
): Promise<void> {
  const id = String(aggregate.id)
  const { name = aggregate.name, metadata = {} } = changes
  const refusal = zoneChangeRefusal(aggregate, metadata, await selectZoneFacts(tx, id, aggregate.hosts))
  if (refusal !== null) throw aggregateZoneRefused(id, refusal)
  try {
    await updateThing(tx, aggregateNoun, everything, id, {
      name,
      metadata: jsonb(changedMetadata(aggregate.metadata, metadata)),
      updated_at: ctx.clock.now(),
    })
  } catch (error) {
    throw violatedConstraint(error) === "aggregate_name_key" ? aggregateNameTaken(name) : error
  }
}

export const updateAggregate = operation({
  name: "compute.aggregate.update",
  input: Type.Object({ id: Type.String(), changes: aggregateNoun.changes }),
  faults: [aggregateNotFound, aggregateNameTaken, aggregateZoneRefused],
  rule: `${rules}:update`,
  run: (ctx, { id, changes: { zone, ...changes } }) =>
    changeAggregate(ctx, id, async (tx, aggregate) => {
      const metadata = zone === undefined ? {} : { metadata: { availability_zone: zone } }
      await changeProperties(ctx, tx, aggregate, { ...changes, ...metadata })
      return { event: "updateprop" }
    }),
})

export const setAggregateMetadata = operation({
  name: "compute.aggregate.set_metadata",
  input: Type.Object({
    id: Type.String(),
    /** null takes a key away; keys that are not named stay. */
    metadata: Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])),
  }),
  faults: [aggregateNotFound, aggregateZoneRefused],
  rule: `${rules}:set_metadata`,
  run: (ctx, { id, metadata }) =>
    changeAggregate(ctx, id, async (tx, aggregate) => {
      await changeProperties(ctx, tx, aggregate, { metadata })
      return { event: "updatemetadata" }
    }),
})

export const deleteAggregate = operation({
  name: "compute.aggregate.delete",
  input: ThingInput,
  faults: [aggregateNotFound, aggregateNotEmpty],
  rule: `${rules}:delete`,
  run: async (ctx, { id }) => {
    await changeAggregate(ctx, id, async (tx, aggregate) => {
      if (aggregate.hosts.length > 0) throw aggregateNotEmpty(id)
      await tx.deleteFrom("compute.aggregate").where("id", "=", aggregate.id).execute()
      return { event: "delete" }
    })
  },
})

async function notify(ctx: Ctx, tx: Tx, event: string, aggregate: Aggregate, host?: string): Promise<void> {
  await ctx.outbox.append(tx, {
    type: `aggregate.${event}.end`,
    publisher: `aggregate.${aggregate.name}`,
    projectId: ctx.caller.projectId,
    userId: ctx.caller.userId,
    requestId: ctx.requestId,
    resourceId: aggregate.uuid,
    payload: {
      aggregate_id: aggregate.id,
      name: aggregate.name,
      meta_data: aggregate.metadata,
      ...(host !== undefined && { host_name: host }),
    },
  })
}
