import { Type } from "typebox"
import { jsonb, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { qosSpecsExists, qosSpecsInvalid } from "../faults.ts"
import { checkSpecs } from "./check.ts"
import { notifyQosSpecs } from "./notification.ts"
import { qosSpecsNoun } from "./qos-specs.ts"

export const createQosSpecs = operation({
  name: "block_storage.qos_specs.create",
  input: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    consumer: Type.String(),
    specs: Type.Record(Type.String(), Type.String()),
  }),
  faults: [qosSpecsExists, qosSpecsInvalid],
  rule: "volume_extension:qos_specs_manage:create",
  run: async (ctx, { name, consumer, specs }) => {
    checkSpecs(consumer, specs)
    return await transact(ctx.db, async (tx) => {
      const values = { id: newUuid(), name, consumer, specs: jsonb(specs), created_at: ctx.clock.now() }
      const how = { values, constraint: "qos_specs_name_key" }
      const made = await insertThing(tx, qosSpecsNoun, undefined as never, how)
      if (!made) throw qosSpecsExists(name)
      await notifyQosSpecs(ctx, tx, "create", made)
      return made
    })
  },
})
