import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { qosSpecsInUse, qosSpecsNotFound } from "../faults.ts"
import { takeFromAll, typesOfQosSpecs } from "./associate.ts"
import { notifyQosSpecs } from "./notification.ts"
import { loadQosSpecs, lockQosSpecs } from "./read.ts"

export const deleteQosSpecs = operation({
  name: "block_storage.qos_specs.delete",
  input: Type.Object({
    id: Type.String(),
    /** Also when types have them: these have none then. */
    isForced: Type.Boolean(),
  }),
  faults: [qosSpecsNotFound, qosSpecsInUse],
  load: loadQosSpecs,
  rule: "volume_extension:qos_specs_manage:delete",
  run: async (ctx, { id, isForced }) => {
    await transact(ctx.db, async (tx) => {
      const specs = await lockQosSpecs(tx, id)
      if (isForced) await takeFromAll(ctx, tx, id)
      else if ((await typesOfQosSpecs(tx, id, 1)).length > 0) throw qosSpecsInUse(id)
      await tx.deleteFrom("block_storage.qos_specs").where("id", "=", id).execute()
      await notifyQosSpecs(ctx, tx, "delete", specs)
    })
  },
})
