import type { Platform } from "../../platform/context/context.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { everything } from "../viewer.ts"
import { volumeTypeNoun } from "./volume-type.ts"

/** Cinder's own name for the type of volumes for which none is asked. */
export const builtInDefaultType = "__DEFAULT__"

export async function seedVolumeTypes({ db }: Platform): Promise<void> {
  await insertThing(db, volumeTypeNoun, everything, {
    values: { id: newUuid(), name: builtInDefaultType, description: "Default Volume Type" },
    constraint: "volume_type_name_key",
  })
}
