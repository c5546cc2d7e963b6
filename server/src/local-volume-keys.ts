// Keys of volumes as an agent in the process of the control plane asks for them, with the same rights as over a
// network. Belongs to the composition root, as the agent knows no service.
import type { VolumeKeys } from "./agent/volumes/volume-keys.ts"
import { openVolumeKey } from "./block-storage/index.ts"
import type { Platform } from "./platform/context/context.ts"

export function localVolumeKeys(platform: Platform): VolumeKeys {
  return { of: (volumeId) => openVolumeKey(platform, { host: platform.config.host, volumeId }) }
}
