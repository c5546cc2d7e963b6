// Keys of QoS specs that are set and removed. Machines keep to what was said when they were given their volumes.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, transact } from "../../platform/db/database.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { qosSpecsInvalid, qosSpecsKeyNotFound, qosSpecsNotFound } from "../faults.ts"
import { itemOf } from "../metadata.ts"
import { checkSpecs } from "./check.ts"
import { notifyQosSpecs } from "./notification.ts"
import { type QosSpecs, qosSpecsNoun } from "./qos-specs.ts"
import { loadQosSpecs, lockQosSpecs } from "./read.ts"

type Said = { consumer: string; specs: Readonly<Record<string, string>> }

async function change(
  ctx: Ctx,
  id: string,
  event: "update" | "delete_keys",
  next: (now: QosSpecs) => Said,
): Promise<void> {
  await transact(ctx.db, async (tx) => {
    const { consumer, specs } = next(await lockQosSpecs(tx, id))
    checkSpecs(consumer, specs)
    const values = { consumer, specs: jsonb(specs), updated_at: ctx.clock.now() }
    const changed = await updateThing(tx, qosSpecsNoun, undefined as never, id, values)
    if (changed) await notifyQosSpecs(ctx, tx, event, changed)
  })
}

/** What is named is set; the rest stays. */
export const setQosSpecs = operation({
  name: "block_storage.qos_specs.update",
  input: Type.Object({
    id: Type.String(),
    consumer: Type.Optional(Type.String()),
    specs: Type.Record(Type.String(), Type.String()),
  }),
  faults: [qosSpecsNotFound, qosSpecsInvalid],
  load: loadQosSpecs,
  rule: "volume_extension:qos_specs_manage:update",
  run: (ctx, { id, consumer, specs }) =>
    change(ctx, id, "update", (now) => ({
      consumer: consumer ?? now.consumer,
      specs: { ...now.specs, ...specs },
    })),
})

/** All of them or none. */
export const removeQosKeys = operation({
  name: "block_storage.qos_specs.delete_keys",
  input: Type.Object({ id: Type.String(), keys: Type.Array(Type.String()) }),
  faults: [qosSpecsNotFound, qosSpecsKeyNotFound, qosSpecsInvalid],
  load: loadQosSpecs,
  rule: "volume_extension:qos_specs_manage:delete",
  run: (ctx, { id, keys }) =>
    change(ctx, id, "delete_keys", ({ consumer, specs }) => {
      const missing = keys.find((key) => itemOf(specs, key) === undefined)
      if (missing !== undefined) throw qosSpecsKeyNotFound(id, missing)
      const gone = new Set(keys)
      return { consumer, specs: Object.fromEntries(Object.entries(specs).filter(([key]) => !gone.has(key))) }
    }),
})
