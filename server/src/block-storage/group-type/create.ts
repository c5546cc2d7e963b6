import { Type } from "typebox"
import { jsonb, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { inputInvalid } from "../faults.ts"
import { groupTypeExists } from "../group/faults.ts"
import { checkMetadata } from "../metadata.ts"
import { everything } from "../viewer.ts"
import { groupTypeNoun } from "./group-type.ts"
import { notifyGroupType } from "./notification.ts"

export const createGroupType = operation({
  name: "block_storage.group_type.create",
  input: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    description: Type.Union([Type.String({ maxLength: 255 }), Type.Null()]),
    isPublic: Type.Boolean(),
    groupSpecs: Type.Record(Type.String(), Type.String()),
  }),
  faults: [groupTypeExists, inputInvalid],
  rule: "group:group_types:create",
  run: async (ctx, { name, description, isPublic, groupSpecs }) => {
    checkMetadata(groupSpecs)
    return await transact(ctx.db, async (tx) => {
      const made = await insertThing(tx, groupTypeNoun, everything, {
        values: {
          id: newUuid(),
          name,
          description,
          is_public: isPublic,
          group_specs: jsonb(groupSpecs),
          created_at: ctx.clock.now(),
        },
        constraint: "group_type_name_key",
      })
      if (!made) throw groupTypeExists(name)
      await notifyGroupType(ctx, tx, "group_type.create", made)
      return made
    })
  },
})
