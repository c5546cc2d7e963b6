// What cases of sagas have of volumes, and of another host for their servers.
import assert from "node:assert/strict"
import { closeOtherHost, openOtherHost } from "../../../test/other-host.ts"
import type { SagaParams } from "../../../test/saga-case.ts"
import type { ServerCloud } from "../../../test/server-cloud.ts"
import { disksOf, volumeNow, volumeWish } from "../../../test/volume-cloud.ts"
import { createVolume, createVolumeType } from "../../block-storage/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import * as compute from "../index.ts"
import type { Server } from "../server/server.ts"

/** By server: the one that its case is about. */
const volumeOf = new Map<string, string>()

export async function withVolume(ctx: Ctx, server: Server, settled: () => Promise<void>): Promise<void> {
  const { id: volumeId } = await createVolume(ctx, volumeWish)
  await settled()
  volumeOf.set(server.id, volumeId)
}

export const attachment = (server: Server) => ({
  ...{ serverId: server.id, volumeId: volumeOf.get(server.id) ?? "" },
  ...{ device: null, tag: null, deleteOnTermination: false },
})

/** The volume is in the machine's disks while block storage says so, and only then; it has this status after a failure. */
export const volumeUnless =
  (unwound: "available" | "in-use") => async (c: ServerCloud, params: SagaParams, failed: string | null) => {
    const done = unwound === "available" ? "in-use" : "available"
    const { serverId, volumeId } = params
    const volume = await volumeNow(c, volumeId)
    assert.equal(volume?.status, failed === null ? done : unwound)
    const isIn = (await disksOf(c, serverId)).includes(volumeId)
    assert.equal(isIn, volume?.status === "in-use")
  }
/** Another host takes servers in the cases of moves alone. */
export const opening = async (ctx: Ctx) => void (await openOtherHost(ctx))
export const closing = async (c: ServerCloud) => await closeOtherHost(c.cloud.cloud.platform)

const sharedType = "shared"

/** In storage that both hosts reach. */
export async function withSharedVolume(
  ctx: Ctx,
  server: Server,
  settled: () => Promise<void>,
): Promise<void> {
  await opening(ctx)
  const spec = { name: sharedType, description: null, isPublic: true }
  const extraSpecs = { volume_backend_name: sharedType }
  await createVolumeType(ctx, { ...spec, extraSpecs }).catch((error: unknown) => {
    if (!(error instanceof Fault && error.kind === "conflict")) throw error
  })
  const { id: volumeId } = await createVolume(ctx, { ...volumeWish, volumeType: sharedType })
  await settled()
  volumeOf.set(server.id, volumeId)
  await compute.attachVolume(ctx, { ...attachment(server), knowsMultiattach: true })
  await settled()
}

/** Its volume is the host's on which it is, and free for others to work on. */
export const volumeAt =
  (hostOf: (failed: string | null) => string) =>
  async (c: ServerCloud, { serverId }: SagaParams, failed: string | null) => {
    const volume = await volumeNow(c, volumeOf.get(serverId) ?? "")
    assert.deepEqual([volume?.status, volume?.host, volume?.targetHost], ["in-use", hostOf(failed), null])
  }
