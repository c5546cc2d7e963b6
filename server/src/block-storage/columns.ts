// What the columns hold, where the database knows less: shapes of jsonb. tables.ts is generated with it.
import type { IoLimits, VolumeAbilities } from "../agent/protocol.ts"
import type { VolumeFacts } from "./backup/backup.ts"

export interface Columns {
  "volume_type.extra_specs": Record<string, string>
  "group_type.group_specs": Record<string, string>
  "pool.abilities": VolumeAbilities
  "volume.metadata": Record<string, string>
  "volume.image_metadata": Record<string, string>
  "snapshot.metadata": Record<string, string>
  "attachment.io_limits": IoLimits
  "qos_specs.specs": Record<string, string>
  "attachment.connector": Record<string, unknown>
  "backup.metadata": Record<string, string>
  "backup.volume_facts": VolumeFacts
}
