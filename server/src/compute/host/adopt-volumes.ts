// The volumes of a machine that is adopted: it has them on its host, so they become its server's again.
import {
  completeVolume,
  connectVolume,
  handOver,
  releaseVolume,
  reserveVolume,
  volumeElsewhere,
} from "../../block-storage/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { machineNotAdoptable } from "../faults.ts"
import { changeDevice, insertDevices, noteVolumes, selectDevices } from "../server/block-device.ts"
import { chooseDeviceName, localDeviceNames } from "../server/device-name.ts"
import type { Server } from "../server/server.ts"
import type { VolumeDisk } from "./adopted-server.ts"

/** Throws `machineNotAdoptable` when the cloud knows no such volume, or somebody else has it. */
export async function adoptVolumes(
  ctx: Ctx,
  tx: Tx,
  server: Server,
  { host, disks, id }: { host: string; disks: readonly VolumeDisk[]; id: string },
): Promise<void> {
  const devices = await selectDevices(tx, { id: server.id, hasVolumes: true })
  const taken = [...localDeviceNames(server), ...devices.map(({ deviceName }) => deviceName)]
  for (const { volumeId, bootIndex } of disks) {
    if (devices.some((device) => device.volumeId === volumeId)) continue
    const deviceName = chooseDeviceName(null, taken)
    taken.push(deviceName)
    const attachmentId = await reserved(ctx, tx, server, { volumeId, deviceName, id, host })
    const device = {
      ...{
        id: newUuid(),
        serverId: server.id,
        volumeId,
        sourceId: volumeId,
        sizeGib: null,
        volumeType: null,
      },
      ...{ bootIndex, deviceName, deleteOnTermination: false, tag: null, attachmentId },
    }
    await insertDevices(tx, [{ ...device, sourceType: "volume" }])
    await changeDevice(tx, device.id, { state: "attached" })
    const attached = { volumeId, serverId: server.id, host }
    await connectVolume(tx, attached)
    const { userId, projectId } = server
    await completeVolume(ctx, tx, attached, { requestId: ctx.requestId, userId, projectId })
  }
  if (disks.length > 0) await noteVolumes(tx, server)
}

async function reserved(
  ctx: Ctx,
  tx: Tx,
  { id: serverId, projectId, userId }: Server,
  { volumeId, deviceName, id, host }: { volumeId: string; deviceName: string; id: string; host: string },
): Promise<string> {
  // The lost row may have left it the server's.
  const actor = { requestId: ctx.requestId, userId, projectId }
  await releaseVolume(ctx, tx, { volumeId, serverId }, actor)
  const asked = { volumeId, serverId, projectId, device: deviceName }
  try {
    const { id: attachmentId } = await reserveVolume(ctx, tx, asked)
    // Its machine has it there, whatever an older row says.
    await handOver(ctx, tx, volumeId, host).catch((error: unknown) => {
      if (!volumeElsewhere.is(error)) throw error
    })
    return attachmentId
  } catch (error) {
    if (!(error instanceof Fault) || error.kind === "bug") throw error
    const why = error.message.replace(/\.$/, "")
    throw machineNotAdoptable(id, `it has a volume that cannot be its server's (${why})`)
  }
}
