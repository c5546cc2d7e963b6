// What gives volumes to machines and takes them away. From the machine's queue only, after the fence was accepted.
//
//   plug     the record has the disk    the guest has it    the state is told
//   unplug   the guest lets go          QEMU has closed it  the record has it no more
//
// After a crash in between, the record claims more than the machine has, never less, and the same command ends it.
import { Revert } from "../../platform/exec/revert.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { type AgentContext, existing, handleOf } from "../context.ts"
import { agentAbilityMissing } from "../faults.ts"
import {
  canPlugVolumes,
  type Hypervisor,
  type LocalVolume,
  type PlugsVolumes,
} from "../hypervisor/hypervisor.ts"
import type { DiskSpec, VmState } from "../protocol.ts"
import { volumeDisks, withDisk, withoutVolume } from "./volume-disks.ts"
import { checkVolumeId } from "./volume-id.ts"

export async function plugVolume(context: AgentContext, serverId: string, disk: DiskSpec): Promise<VmState> {
  const { machines, volumes } = context
  const record = existing(context, serverId)
  if (disk.source.kind !== "volume") throw invalid("disk.source", "What is plugged is a volume.")
  pluggerOf(context)
  const isNew = !volumeDisks(record.spec.disks).some(({ volumeId }) => volumeId === disk.name)
  await using revert = new Revert()
  const spec = withDisk(record.spec, disk)
  const opened = await volumes.claimAndOpen(serverId, [disk], () =>
    machines.put({ ...record, spec }, { isIntent: true }),
  )
  if (isNew) revert.push(() => takeOut(context, serverId, disk.name))
  const state = await plugOpened(context, serverId, disk, opened)
  await machines.put({ ...record, spec, state })
  revert.done()
  return state
}

/** Into a machine whose record has it already. */
export async function plugOpened(
  context: AgentContext,
  serverId: string,
  disk: DiskSpec,
  opened: Readonly<Record<string, LocalVolume>>,
): Promise<VmState> {
  const handle = handleOf(context, serverId, existing(context, serverId))
  const volume = opened[disk.name]
  if (!volume) throw new Error(`volume ${disk.name} was not opened`)
  await pluggerOf(context).plugVolume(handle, disk, volume, context.volumeKeys)
  return await context.hypervisor.inspect(handle)
}

export async function unplugVolume(
  context: AgentContext,
  serverId: string,
  volumeId: string,
): Promise<VmState> {
  const { hypervisor, machines, volumes } = context
  // A guest may not let go of what is being copied.
  return await volumes.hold(
    [checkVolumeId(volumeId)],
    async () => {
      const record = existing(context, serverId)
      const handle = handleOf(context, serverId, record)
      await pluggerOf(context).unplugVolume(handle, volumeId)
      const state = await hypervisor.inspect(handle)
      await machines.put({ ...record, spec: withoutVolume(record.spec, volumeId), state })
      return state
    },
    { isOwn: true },
  )
}

/** Undoes a plug. What cannot be taken out stays the machine's, and hides no fault. */
export async function takeOut(context: AgentContext, serverId: string, volumeId: string): Promise<void> {
  try {
    await unplugVolume(context, serverId, volumeId)
  } catch (error) {
    context.log.error({ serverId, volumeId, err: error }, "a volume could not be taken out of its machine")
  }
}

/** The volume has grown; the machine may have let go of it meanwhile, or it may have grown further. */
export async function growVolume(context: AgentContext, serverId: string, volumeId: string): Promise<void> {
  const { machines, volumes } = context
  const record = machines.get(serverId)
  const found = record && volumeDisks(record.spec.disks).find((one) => one.volumeId === volumeId)
  const { volume } = found ? await volumes.inspect(found) : { volume: null }
  if (!found || !volume) return
  const { sizeBytes } = volume
  const grow = () => pluggerOf(context).growVolume(handleOf(context, serverId, record), volumeId, sizeBytes)
  // QEMU does not grow what it copies.
  await volumes.hold([volumeId], grow, { isOwn: true })
  await machines.put({ ...record, spec: withDisk(record.spec, { ...found.disk, sizeBytes }) })
}

function pluggerOf({ hypervisor }: AgentContext): Hypervisor & PlugsVolumes {
  if (!canPlugVolumes(hypervisor)) throw agentAbilityMissing(hypervisor.name, "plug a volume")
  return hypervisor
}
