// Volumes for tests of servers, made as their project would make them.
import assert from "node:assert/strict"
import { createVolume, type Volume, volumesByIds } from "../src/block-storage/index.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Ctx } from "../src/platform/context/context.ts"
import type { ServerCloud } from "./server-cloud.ts"

type CreateVolumeInput = Parameters<typeof createVolume>[1]

export const volumeWish: CreateVolumeInput = {
  ...{ name: null, description: null, sizeGib: 1, volumeType: null, imageId: null, snapshotId: null },
  ...{ sourceVolumeId: null, availabilityZone: null, metadata: {} },
}

/** Waits for the host's back end, and for the volume. */
export async function makeVolume(
  c: ServerCloud,
  ctx: Ctx,
  wish: Partial<CreateVolumeInput> = {},
): Promise<string> {
  await hasPool(c)
  const { id } = await createVolume(ctx, { ...volumeWish, ...wish })
  await volumeIs(c, id, "available")
  return id
}

export async function hasPool({ cloud }: ServerCloud): Promise<void> {
  const pools = () => cloud.database.db.selectFrom("block_storage.pool").select("host").execute()
  await eventually("the back end", async () => (await pools()).length > 0)
}

export async function volumeNow(c: ServerCloud, id: string): Promise<Volume | undefined> {
  return (await volumesByIds(c.cloud.database.db, [id])).get(id)
}

export async function volumeIs(c: ServerCloud, id: string, status: string): Promise<Volume> {
  return await eventually(`volume ${id} to be ${status}`, async () => {
    const volume = await volumeNow(c, id)
    if (volume?.status === "error" && status !== "error") assert.fail(volume.problem ?? "it failed")
    return volume?.status === status && volume
  })
}

/** Names of the disks that the machine is made of. */
export async function disksOf(c: ServerCloud, serverId: string): Promise<string[]> {
  const asked = { serverIds: [serverId] }
  const { here } = await c.cloud.cloud.agent.agent.handle("host.unknown", asked)
  return here.flatMap(({ spec }) => spec?.disks.map(({ name }) => name) ?? [])
}
