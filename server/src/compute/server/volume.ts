// Volumes of a server that is there already. Block storage has the volumes; the host gives them to the machine.
import { Type } from "typebox"
import {
  beginDetachVolume,
  checkHandOver,
  completeVolume,
  reachOf,
  reserveVolume,
  type Volume,
  visibleVolume,
  volumeElsewhere,
  volumeInvalid,
  volumeNotFound,
} from "../../block-storage/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  badRequest,
  devicePathInUse,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
  swapUnsupported,
  volumeNotAttached,
} from "../faults.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import {
  type AttachedDevice,
  changeDevice,
  giveBackVolume,
  hasVolume,
  hostsOfAll,
  insertDevices,
  type NewBlockDevice,
  noteVolumes,
  selectDevices,
} from "./block-device.ts"
import { checkMultiattach } from "./block-device-request.ts"
import { chooseDeviceName, localDeviceNames } from "./device-name.ts"
import { targetOf, visibleServer } from "./read.ts"
import type { Server } from "./server.ts"
import { actionRules } from "./state.ts"
import { actorOf, checkState, claimServer } from "./task.ts"
import { attachVolumeSaga, detachVolumeSaga } from "./volume.saga.ts"

const states = [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady]
const AttachmentInput = Type.Object({ serverId: Type.String(), volumeId: Type.String() })
const nullableText = Type.Union([Type.String(), Type.Null()])

export const listServerVolumes = operation({
  name: "compute.server.list_volumes",
  input: Type.Object({ serverId: Type.String() }),
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-volumes-attachments:index",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => (await selectDevices(ctx.db, server)).filter(hasVolume),
})

async function deviceOf(ctx: Ctx, server: Server, volumeId: string): Promise<AttachedDevice> {
  const devices = isUuid(volumeId) ? (await selectDevices(ctx.db, server)).filter(hasVolume) : []
  const found = devices.find((device) => device.volumeId === volumeId)
  if (!found) throw volumeNotAttached(server.id, volumeId)
  return found
}

export const showServerVolume = operation({
  name: "compute.server.show_volume",
  input: AttachmentInput,
  faults: [serverNotFound, volumeNotAttached],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-volumes-attachments:show",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, input, server) => deviceOf(ctx, server, input.volumeId),
})

/** Takes a new generation for one command to the host, and records the action. */
async function claimForCommand(ctx: Ctx, tx: Tx, serverId: string, name: "attachVolume" | "detachVolume") {
  const claimed = await claimServer(ctx, tx, serverId, name)
  await recordActions(tx, [{ serverId, action: actionRules[name].action, ...actorOf(ctx) }])
  return claimed
}

/** The volume is reserved and its place in the server taken; the machine gets it after the answer. */
export const attachVolume = operation({
  name: "compute.server.attach_volume",
  input: Type.Object({
    serverId: Type.String(),
    volumeId: Type.String(),
    /** `/dev/vdb`; null: the next one that is free. */
    device: nullableText,
    tag: nullableText,
    deleteOnTermination: Type.Boolean(),
    /** The caller knows of volumes that several servers have at once. */
    knowsMultiattach: Type.Optional(Type.Boolean()),
  }),
  faults: [...states, badRequest, devicePathInUse, volumeNotFound, volumeInvalid, volumeElsewhere],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-volumes-attachments:create",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server): Promise<AttachedDevice> => {
    checkState(ctx, server, "attachVolume")
    const volume = await visibleVolume(ctx, input.volumeId)
    const { id: volumeId } = volume
    checkMultiattach(volume, input)
    return await transact(ctx.db, async (tx) => {
      const claimed = await claimForCommand(ctx, tx, server.id, "attachVolume")
      const { host } = claimed
      if (!host && claimed.vmState !== "shelved_offloaded") throw serverNotReady(claimed.id)
      if (!host && volume.isMultiattach)
        throw badRequest("Attaching multiattach volumes is not supported for shelved-offloaded instances.")
      const taken = (await selectDevices(tx, claimed)).map((device) => device.deviceName)
      const deviceName = chooseDeviceName(input.device, [...localDeviceNames(claimed), ...taken])
      const attachment = await reserveVolume(ctx, tx, {
        volumeId,
        serverId: claimed.id,
        projectId: claimed.projectId,
        device: deviceName,
      })
      if (host) await checkHandOver(ctx, tx, volumeId, host)
      else await checkTogether(ctx, tx, claimed, volume)
      const device: NewBlockDevice & { volumeId: string } = {
        ...{ id: newUuid(), serverId: claimed.id, volumeId, sourceId: volumeId },
        sourceType: "volume",
        ...{ sizeGib: null, volumeType: null, bootIndex: null, deviceName },
        ...{ deleteOnTermination: input.deleteOnTermination, tag: input.tag, attachmentId: attachment.id },
      }
      await insertDevices(tx, [device])
      await noteVolumes(tx, claimed)
      if (!host) return await noteAttached(ctx, tx, device, volume.host ?? "")
      const params = { serverId: claimed.id, generation: claimed.generation, ...actorOf(ctx), host, volumeId }
      const how = { requestId: ctx.requestId, resourceId: claimed.id }
      await ctx.sagas.start(tx, attachVolumeSaga, params, how)
      return { ...device, state: "attaching" }
    })
  },
})

/** A server without a machine finds a host again only where all of its volumes can be. */
async function checkTogether(ctx: Ctx, tx: Tx, server: Server, volume: Volume): Promise<void> {
  const devices = (await selectDevices(tx, server)).filter(hasVolume)
  const volumeIds = [...devices.map(({ volumeId }) => volumeId), volume.id]
  if (hostsOfAll(await reachOf(ctx, tx, { volumeIds, snapshotIds: [] })).length === 0)
    throw volumeElsewhere(volume.id)
}

/** There is no machine yet: the next one is made with it. */
async function noteAttached(
  ctx: Ctx,
  tx: Tx,
  device: NewBlockDevice & { volumeId: string },
  host: string,
): Promise<AttachedDevice> {
  const { id, serverId, volumeId } = device
  await changeDevice(tx, id, { state: "attached" })
  await completeVolume(ctx, tx, { volumeId, serverId, host }, actorOf(ctx))
  const { requestId } = ctx
  await endAction(tx, { serverId, requestId, event: "compute_attach_volume", host: null, error: null })
  return { ...device, state: "attached" }
}

const rootStays = "Cannot detach a root device volume"

/** Answered at once; the volume is `detaching` until the guest has let go of it. */
export const detachVolume = operation({
  name: "compute.server.detach_volume",
  input: AttachmentInput,
  faults: [...states, badRequest, volumeNotAttached, volumeNotFound, volumeInvalid],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-volumes-attachments:delete",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, { volumeId }, server) => {
    const device = await deviceOf(ctx, server, volumeId)
    if (device.bootIndex === 0) throw badRequest(rootStays)
    await transact(ctx.db, async (tx) => {
      const claimed = await claimForCommand(ctx, tx, server.id, "detachVolume")
      await beginDetachVolume(tx, device)
      await changeDevice(tx, device.id, { state: "detaching" })
      const { id: serverId, generation, host } = claimed
      const params = { serverId, generation, ...actorOf(ctx), volumeId }
      if (host !== null) {
        const how = { requestId: ctx.requestId, resourceId: serverId }
        await ctx.sagas.start(tx, detachVolumeSaga, { ...params, host }, how)
        return
      }
      // There is no machine that would have to let go of it.
      await giveBackVolume(ctx, tx, device, params)
      const { requestId } = params
      await endAction(tx, { serverId, requestId, event: "compute_detach_volume", host: null, error: null })
    })
  },
})

/** What becomes of the volume with its server. All else stays as it was attached. */
export const updateServerVolume = operation({
  name: "compute.server.update_volume",
  input: Type.Object({
    ...AttachmentInput.properties,
    deleteOnTermination: Type.Optional(Type.Boolean()),
    /** What may be said, and must be as it is. */
    device: Type.Optional(nullableText),
    tag: Type.Optional(Type.String()),
    id: Type.Optional(Type.String()),
    sameServerId: Type.Optional(Type.String()),
  }),
  faults: [serverNotFound, volumeNotAttached, badRequest],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-volumes-attachments:update",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    const device = await deviceOf(ctx, server, input.volumeId)
    const fixed = [
      ["id", input.id, device.volumeId],
      ["serverId", input.sameServerId, device.serverId],
      ["device", input.device, device.deviceName],
      ["tag", input.tag, device.tag],
    ] as const
    for (const [name, said, is] of fixed)
      if (said !== undefined && said !== is) throw badRequest(`The ${name} property is not mutable`)
    const { deleteOnTermination } = input
    if (deleteOnTermination === undefined) return
    await transact(ctx.db, (tx) => changeDevice(tx, device.id, { deleteOnTermination }))
  },
})

/** Nova lets block storage alone put one volume into another's place, where it migrates it; none migrates here. */
export const swapServerVolume = operation({
  name: "compute.server.swap_volume",
  input: Type.Object({ serverId: Type.String(), volumeId: Type.String(), newVolumeId: Type.String() }),
  faults: [serverNotFound, volumeNotAttached, badRequest, swapUnsupported],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-volumes-attachments:swap",
  run: async (ctx, { volumeId, newVolumeId }, server) => {
    await deviceOf(ctx, server, volumeId)
    try {
      await visibleVolume(ctx, newVolumeId)
    } catch (error) {
      throw volumeNotFound.is(error) ? badRequest(`Volume ${newVolumeId} could not be found.`) : error
    }
    throw swapUnsupported(volumeId)
  },
})
