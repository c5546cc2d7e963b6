// What operators do with aggregates. Who may is decided before what is there: to others they do not exist at all.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { hostNotFound } from "../faults.ts"
import { selectHost } from "../host/store.ts"
import {
  type Aggregate,
  changedMetadata,
  hostChangeRefusal,
  type MetadataChanges,
  withZone,
  zoneChangeRefusal,
} from "./aggregate.ts"
import {
  aggregateHostExists,
  aggregateHostNotFound,
  aggregateHostRefused,
  aggregateNameTaken,
  aggregateNotEmpty,
  aggregateNotFound,
  aggregateZoneRefused,
} from "./faults.ts"
import {
  deleteAggregateHost,
  deleteAggregateRow,
  insertAggregate,
  insertAggregateHost,
  lockAggregates,
  selectAggregate,
  selectAggregates,
  selectZoneFacts,
  updateAggregateRow,
} from "./store.ts"

const rules = "os_compute_api:os-aggregates"
const AggregateId = Type.Integer()
const Name = Type.String({ minLength: 1, maxLength: 255 })

export const listAggregates = operation({
  name: "compute.aggregate.list",
  input: Type.Object({}),
  rule: `${rules}:index`,
  run: (ctx) => selectAggregates(ctx.db),
})

export const showAggregate = operation({
  name: "compute.aggregate.get",
  input: Type.Object({ aggregateId: AggregateId }),
  faults: [aggregateNotFound],
  rule: `${rules}:show`,
  run: async (ctx, { aggregateId }) => {
    const aggregate = await selectAggregate(ctx.db, aggregateId)
    if (!aggregate) throw aggregateNotFound(String(aggregateId))
    return aggregate
  },
})

export const createAggregate = operation({
  name: "compute.aggregate.create",
  input: Type.Object({ name: Name, zone: Type.Union([Name, Type.Null()]) }),
  faults: [aggregateNameTaken],
  rule: `${rules}:create`,
  run: (ctx, { name, zone }) =>
    transact(ctx.db, async (tx) => {
      const metadata = zone === null ? {} : withZone(zone)
      const made = await insertAggregate(tx, { name, metadata, at: ctx.clock.now() })
      await notify(ctx, tx, "create", made)
      return made
    }),
})

/** One aggregate under the lock of all: `change` looks at it and says what it is now. */
async function changeAggregate(
  ctx: Ctx,
  aggregateId: number,
  change: (tx: Tx, aggregate: Aggregate) => Promise<{ event: string; host?: string }>,
): Promise<Aggregate> {
  return await transact(ctx.db, async (tx) => {
    await lockAggregates(tx)
    const before = await selectAggregate(tx, aggregateId)
    if (!before) throw aggregateNotFound(String(aggregateId))
    const { event, host } = await change(tx, before)
    const after = (await selectAggregate(tx, aggregateId)) ?? before
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
  if (changes.metadata) {
    const facts = await selectZoneFacts(tx, aggregate.id, aggregate.hosts)
    const refusal = zoneChangeRefusal(aggregate, changes.metadata, facts)
    if (refusal !== null) throw aggregateZoneRefused(String(aggregate.id), refusal)
  }
  await updateAggregateRow(tx, {
    ...aggregate,
    name: changes.name ?? aggregate.name,
    metadata: changedMetadata(aggregate.metadata, changes.metadata ?? {}),
    updatedAt: ctx.clock.now(),
  })
}

export const updateAggregate = operation({
  name: "compute.aggregate.update",
  input: Type.Object({
    aggregateId: AggregateId,
    name: Type.Optional(Name),
    zone: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  }),
  faults: [aggregateNotFound, aggregateNameTaken, aggregateZoneRefused],
  rule: `${rules}:update`,
  run: (ctx, { aggregateId, name, zone }) =>
    changeAggregate(ctx, aggregateId, async (tx, aggregate) => {
      await changeProperties(ctx, tx, aggregate, {
        ...(name !== undefined && { name }),
        ...(zone !== undefined && { metadata: { availability_zone: zone } }),
      })
      return { event: "updateprop" }
    }),
})

export const setAggregateMetadata = operation({
  name: "compute.aggregate.set_metadata",
  input: Type.Object({
    aggregateId: AggregateId,
    /** null takes a key away; keys that are not named stay. */
    metadata: Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])),
  }),
  faults: [aggregateNotFound, aggregateZoneRefused],
  rule: `${rules}:set_metadata`,
  run: (ctx, { aggregateId, metadata }) =>
    changeAggregate(ctx, aggregateId, async (tx, aggregate) => {
      await changeProperties(ctx, tx, aggregate, { metadata })
      return { event: "updatemetadata" }
    }),
})

export const deleteAggregate = operation({
  name: "compute.aggregate.delete",
  input: Type.Object({ aggregateId: AggregateId }),
  faults: [aggregateNotFound, aggregateNotEmpty],
  rule: `${rules}:delete`,
  run: async (ctx, { aggregateId }) => {
    await changeAggregate(ctx, aggregateId, async (tx, aggregate) => {
      if (aggregate.hosts.length > 0) throw aggregateNotEmpty(String(aggregateId))
      await deleteAggregateRow(tx, aggregateId)
      return { event: "delete" }
    })
  },
})

const HostInput = Type.Object({ aggregateId: AggregateId, host: Type.String() })

export const addAggregateHost = operation({
  name: "compute.aggregate.add_host",
  input: HostInput,
  faults: [aggregateNotFound, hostNotFound, aggregateHostExists, aggregateHostRefused],
  rule: `${rules}:add_host`,
  run: (ctx, { aggregateId, host }) =>
    changeAggregate(ctx, aggregateId, async (tx, aggregate) => {
      if (!(await selectHost(tx, host))) throw hostNotFound(host)
      if (aggregate.hosts.includes(host)) throw aggregateHostExists(String(aggregateId), host)
      const refusal = hostChangeRefusal(aggregate, "add", await selectZoneFacts(tx, aggregateId, [host]))
      if (refusal !== null) throw aggregateHostRefused(String(aggregateId), "add", refusal)
      await insertAggregateHost(tx, aggregateId, host, ctx.clock.now())
      return { event: "addhost", host }
    }),
})

export const removeAggregateHost = operation({
  name: "compute.aggregate.remove_host",
  input: HostInput,
  faults: [aggregateNotFound, aggregateHostNotFound, aggregateHostRefused],
  rule: `${rules}:remove_host`,
  run: (ctx, { aggregateId, host }) =>
    changeAggregate(ctx, aggregateId, async (tx, aggregate) => {
      if (!aggregate.hosts.includes(host)) throw aggregateHostNotFound(String(aggregateId), host)
      const refusal = hostChangeRefusal(aggregate, "remove", await selectZoneFacts(tx, aggregateId, [host]))
      if (refusal !== null) throw aggregateHostRefused(String(aggregateId), "remove", refusal)
      await deleteAggregateHost(tx, aggregateId, host)
      return { event: "removehost", host }
    }),
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
