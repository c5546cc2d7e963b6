// Hosts that join an aggregate and leave it.
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { hostNotFound } from "../faults.ts"
import { selectHost } from "../host/store.ts"
import { changeAggregate } from "./aggregate.ts"
import {
  aggregateHostExists,
  aggregateHostNotFound,
  aggregateHostRefused,
  aggregateNotFound,
} from "./faults.ts"
import { selectZoneFacts } from "./store.ts"
import { hostChangeRefusal } from "./zone.ts"

const rules = "os_compute_api:os-aggregates"
const HostInput = Type.Object({ id: Type.String(), host: Type.String() })

export const addAggregateHost = operation({
  name: "compute.aggregate.add_host",
  input: HostInput,
  faults: [aggregateNotFound, hostNotFound, aggregateHostExists, aggregateHostRefused],
  rule: `${rules}:add_host`,
  run: (ctx, { id, host }) =>
    changeAggregate(ctx, id, async (tx, aggregate) => {
      if (!(await selectHost(tx, host))) throw hostNotFound(host)
      if (aggregate.hosts.includes(host)) throw aggregateHostExists(id, host)
      const refusal = hostChangeRefusal(aggregate, "add", await selectZoneFacts(tx, id, [host]))
      if (refusal !== null) throw aggregateHostRefused(id, "add", refusal)
      await tx
        .insertInto("compute.aggregate_host")
        .values({ aggregate_id: aggregate.id, host, added_at: ctx.clock.now() })
        .execute()
      return { event: "addhost", host }
    }),
})

export const removeAggregateHost = operation({
  name: "compute.aggregate.remove_host",
  input: HostInput,
  faults: [aggregateNotFound, aggregateHostNotFound, aggregateHostRefused],
  rule: `${rules}:remove_host`,
  run: (ctx, { id, host }) =>
    changeAggregate(ctx, id, async (tx, aggregate) => {
      if (!aggregate.hosts.includes(host)) throw aggregateHostNotFound(id, host)
      const refusal = hostChangeRefusal(aggregate, "remove", await selectZoneFacts(tx, id, [host]))
      if (refusal !== null) throw aggregateHostRefused(id, "remove", refusal)
      await tx
        .deleteFrom("compute.aggregate_host")
        .where("aggregate_id", "=", aggregate.id)
        .where("host", "=", host)
        .execute()
      return { event: "removehost", host }
    }),
})
