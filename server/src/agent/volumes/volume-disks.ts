import type { DiskSpec } from "../protocol.ts"

export interface VolumeDisk {
  volumeId: string
  backend: string
  /** Other machines that say so, too, have it at the same time. */
  isShared: boolean
  /** Where it lies; null: here, as far as is known. */
  host: string | null
  disk: DiskSpec
}

/** The disks of a machine that are volumes. */
export function volumeDisks(disks: readonly DiskSpec[]): VolumeDisk[] {
  return disks.flatMap((disk) => {
    if (disk.source.kind !== "volume") return []
    const { volumeId, backend, shared, host = null } = disk.source
    return [{ volumeId, backend, host, isShared: shared === true, disk }]
  })
}

interface HasDisks {
  disks: DiskSpec[]
}

export function withDisk<S extends HasDisks>(spec: S, disk: DiskSpec): S {
  const isThere = spec.disks.some(({ name }) => name === disk.name)
  const disks = isThere ? spec.disks.map((d) => (d.name === disk.name ? disk : d)) : [...spec.disks, disk]
  return { ...spec, disks }
}

export function withoutVolume<S extends HasDisks>(spec: S, volumeId: string): S {
  return {
    ...spec,
    disks: spec.disks.filter(({ source }) => source.kind !== "volume" || source.volumeId !== volumeId),
  }
}

/** Volumes of a guest that runs come and go by being plugged alone, so it keeps those that it has. */
export function withVolumesOf<S extends HasDisks>(spec: S, now: HasDisks): S {
  const has = volumeDisks(now.disks).map(({ disk }) => disk)
  // Each where the spec has it: the first disk is the one that a guest is started from.
  const kept = spec.disks.flatMap((disk) =>
    disk.source.kind === "volume" ? has.filter(({ name }) => name === disk.name) : [disk],
  )
  const others = has.filter(({ name }) => !kept.some((disk) => disk.name === name))
  return { ...spec, disks: [...kept, ...others] }
}
