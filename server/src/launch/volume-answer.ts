// The running cloud's side of `kumoi volume`.
import { type DifferingVolumes, listDifferingVolumes } from "../block-storage/index.ts"
import type { Platform } from "../platform/context/context.ts"

export type VolumeAnswer = DifferingVolumes

export const answerVolume = async (platform: Platform): Promise<VolumeAnswer> =>
  await listDifferingVolumes(platform)
