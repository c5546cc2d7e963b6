// What opens volumes as an agent in the process of the control plane asks for it, with the same rights as over a
// network. Belongs to the composition root, as the agent knows no service.
import type { VolumeKeys } from "./agent/volumes/volume-keys.ts"
import { openVolumeConnection, openVolumeKey } from "./block-storage/index.ts"
import { openTpmKey } from "./compute/index.ts"
import type { Platform } from "./platform/context/context.ts"

export function localVolumeKeys(platform: Platform): VolumeKeys {
  const { host } = platform.config
  return {
    of: (volumeId) => openVolumeKey(platform, { host, volumeId }),
    ofTpm: (serverId) => openTpmKey(platform, { host, serverId }),
    connect: (volumeId) => openVolumeConnection(platform, { host, volumeId }),
  }
}
