import type { Platform } from "../../platform/context/context.ts"
import { jsonb } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { everything } from "../viewer.ts"
import { consistencyGroupType, groupTypeNoun } from "./group-type.ts"

export async function seedGroupTypes({ db }: Platform): Promise<void> {
  await insertThing(db, groupTypeNoun, everything, {
    values: {
      id: newUuid(),
      name: consistencyGroupType,
      description: "Default group type for migrating cgsnapshot",
      group_specs: jsonb({ consistent_group_snapshot_enabled: "<is> True" }),
    },
    constraint: "group_type_name_key",
  })
}
