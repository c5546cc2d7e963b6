import { Type } from "typebox"
import { jsonb, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { inputInvalid, volumeTypeExists } from "../faults.ts"
import { checkMetadata } from "../metadata.ts"
import { everything } from "../viewer.ts"
import { notifyType } from "./notification.ts"
import { volumeTypeNoun } from "./volume-type.ts"

export const createVolumeType = operation({
  name: "block_storage.volume_type.create",
  input: Type.Object({ ...volumeTypeFields(), extraSpecs: Type.Record(Type.String(), Type.String()) }),
  faults: [volumeTypeExists, inputInvalid],
  rule: "volume_extension:type_create",
  run: async (ctx, { name, description, isPublic, extraSpecs }) => {
    checkMetadata(extraSpecs)
    return await transact(ctx.db, async (tx) => {
      const made = await insertThing(tx, volumeTypeNoun, everything, {
        values: {
          id: newUuid(),
          name,
          description,
          is_public: isPublic,
          extra_specs: jsonb(extraSpecs),
          created_at: ctx.clock.now(),
        },
        constraint: "volume_type_name_key",
      })
      if (!made) throw volumeTypeExists(name)
      await notifyType(ctx, tx, "create", made)
      return made
    })
  },
})

function volumeTypeFields() {
  return {
    name: Type.String({ minLength: 1, maxLength: 255 }),
    description: Type.Union([Type.String({ maxLength: 255 }), Type.Null()]),
    isPublic: Type.Boolean(),
  }
}
