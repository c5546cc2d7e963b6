import type { Clock } from "../platform/clock/clock.ts"
import { isDiskFull } from "../platform/exec/disk-full.ts"
import type { Logger } from "../platform/log/log.ts"
import type { AsideStore } from "./aside.ts"
import { agentMachineNotFound } from "./faults.ts"
import type { FenceStore } from "./fence-store.ts"
import type { Hypervisor, VmHandle } from "./hypervisor/hypervisor.ts"
import { type ImageCache, type ImageRequest, imageKey } from "./image-cache/image-cache.ts"
import type { MachineRecord, MachineStore } from "./machine-store.ts"
import type { PortPlugger } from "./ports/port-plugger.ts"
import type { AgentReport, VmSpec, VmState } from "./protocol.ts"
import type { VolumeKeys } from "./volumes/volume-keys.ts"
import type { Volumes } from "./volumes/volumes.ts"

/** What the parts of the agent share. */
export interface AgentContext {
  host: string
  hypervisor: Hypervisor
  ports: PortPlugger
  images: ImageCache
  clock: Clock
  log: Logger
  report: (report: AgentReport) => void
  fences: FenceStore
  machines: MachineStore
  aside: AsideStore
  volumes: Volumes
  volumeKeys: VolumeKeys
  /** Images from which volumes are being made; each reader has a request of its own. */
  imagesBeingRead: Set<ImageRequest>
}

export function existing(context: AgentContext, serverId: string): MachineRecord {
  const record = context.machines.get(serverId)
  if (!record) throw agentMachineNotFound(serverId)
  return record
}

/** A driver finds a machine by its id alone, so a handle can be made for one that left none. */
export function handleOf(
  context: AgentContext,
  serverId: string,
  record: MachineRecord | undefined,
): VmHandle {
  return record?.handle ?? { serverId, driver: context.hypervisor.name }
}

export function imageRequests(
  spec: VmSpec,
): { name: string; imageId: string; checksum: string; diskFormat: string }[] {
  const requests = spec.disks.flatMap((disk) => {
    if (disk.source.kind !== "image") return []
    const { imageId, checksum, diskFormat } = disk.source
    return [{ name: disk.name, imageId, checksum, diskFormat }]
  })
  if (spec.kernelImage) requests.push({ name: "kernel", ...spec.kernelImage, diskFormat: "aki" })
  if (spec.ramdiskImage) requests.push({ name: "ramdisk", ...spec.ramdiskImage, diskFormat: "ari" })
  return requests
}

/** The cache entries that machines of this host stand on, also those that were set aside, and those being read. */
export function imagesInUse(context: AgentContext): Set<string> {
  const records = [...context.machines.all(), ...context.aside.records()]
  const requests = [...records.flatMap((record) => imageRequests(record.spec)), ...context.imagesBeingRead]
  return new Set(requests.map(imageKey))
}

/** Keeps a changed state and tells the cloud of it. */
export async function noteState(context: AgentContext, record: MachineRecord, state: VmState): Promise<void> {
  const changed = { ...record, state }
  try {
    await context.machines.put(changed)
  } catch (error) {
    // The cloud must hear of guests that a full disk holds; after a restart they are looked at anew.
    if (!isDiskFull(error)) throw error
    context.machines.remember(changed)
  }
  reportState(context, record.spec.serverId, state)
}

export function reportState(context: AgentContext, serverId: string, state: VmState): void {
  const at = context.clock.now().toISOString()
  context.report({ kind: "vm", host: context.host, serverId, state, at })
}
