import assert from "node:assert/strict"
import { callerOf, capturing, running, type SagaCaseEntry } from "../../../test/saga-case.ts"
import type { ServerCloud } from "../../../test/server-cloud.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import * as storage from "../index.ts"

const gib = 1024 ** 3

const noGroup = { status: "gone", snapshots: 0 }
interface GroupHoldings {
  /** Of the group, and of its snapshot when there is one. */
  status: string
  snapshots: number
  volumes: string[]
  promisedGib: number
  data: number
}

async function groupHoldings(c: ServerCloud, groupId: string): Promise<GroupHoldings> {
  const { db } = c.cloud.database
  const [group, snapshots, volumes, pools] = await Promise.all([
    db.selectFrom("block_storage.volume_group").select("status").where("id", "=", groupId).executeTakeFirst(),
    db.selectFrom("block_storage.group_snapshot").select("id").where("group_id", "=", groupId).execute(),
    db.selectFrom("block_storage.volume").select("status").where("group_id", "=", groupId).execute(),
    db.selectFrom("block_storage.pool").select("promised_bytes").execute(),
  ])
  return {
    status: group?.status ?? noGroup.status,
    snapshots: snapshots.length,
    volumes: volumes.map(({ status }) => status),
    promisedGib: pools.reduce((sum, { promised_bytes: bytes }) => sum + Number(bytes), 0) / gib,
    data: (await c.cloud.cloud.agent.agent.handle("volume.list", { backend: "fake" })).length,
  }
}

interface GroupCase {
  /** On a group with two volumes of 1 GiB each; says which group is looked at. */
  begin: (ctx: Ctx, groupId: string, settled: () => Promise<void>) => Promise<{ before?: string | undefined }>
  run: (ctx: Ctx, groupId: string, before: string | undefined) => Promise<{ id: string } | undefined>
  done: Partial<GroupHoldings>
  unwound: Partial<GroupHoldings>
}

/** The whole is gone afterwards, whatever became of it. */
async function removeGroups(c: ServerCloud, ctx: Ctx, settled: () => Promise<void>): Promise<void> {
  const all = { isOfAllProjects: false, query: {}, offset: 0 }
  for (const { id } of (await storage.listGroupSnapshots(ctx, all)).items) {
    await storage.resetGroupSnapshotStatus(ctx, { id, status: "error" })
    await storage.deleteGroupSnapshot(ctx, { id })
    await settled()
  }
  for (const { id } of (await storage.listGroups(ctx, all)).items) {
    await storage.deleteGroup(ctx, { id, deletesVolumes: true })
    await settled()
  }
  const { data, promisedGib } = await groupHoldings(c, newUuid())
  assert.deepEqual([data, promisedGib], [0, 0], "a delete finds all that is left")
}

const volumeWish = {
  ...{ description: null, sizeGib: 1, volumeType: "__DEFAULT__", imageId: null, snapshotId: null },
  ...{ sourceVolumeId: null, availabilityZone: null, metadata: {} },
}

const groupWish = {
  name: "g",
  description: null,
  groupType: "one moment",
  volumeTypes: ["__DEFAULT__"],
  availabilityZone: null,
}

async function consistentType(ctx: Ctx): Promise<void> {
  const made = await storage.listGroupTypes(ctx, { filters: { name: ["one moment"] } })
  if (made.items.length > 0) return
  const groupSpecs = { consistent_group_snapshot_enabled: "<is> True" }
  await storage.createGroupType(ctx, { name: "one moment", description: null, isPublic: true, groupSpecs })
}

function ofGroup(each: GroupCase): SagaCaseEntry {
  return {
    arrange: async (c) => {
      const { platform } = c.cloud.cloud
      const caller = await callerOf(c)
      const { ctx, settled } = running(platform, caller)
      await consistentType(ctx)
      const { id: groupId } = await storage.createGroup(ctx, groupWish)
      await settled()
      for (const name of ["a", "b"]) await storage.createVolume(ctx, { ...volumeWish, name, groupId })
      await settled()
      const { before } = await each.begin(ctx, groupId, settled)
      await settled()
      const { ctx: quiet, started } = capturing(platform, caller)
      const made = await each.run(quiet, groupId, before)
      assert.equal(started.length, 1, "the operation starts its saga")
      const check = async (failedStep: string | null) => {
        const expected = failedStep === null ? each.done : each.unwound
        const found = await groupHoldings(c, made?.id ?? groupId)
        const seen = Object.fromEntries(
          Object.keys(expected).map((key) => [key, found[key as keyof GroupHoldings]]),
        )
        assert.deepEqual(seen, expected)
        await removeGroups(c, ctx, settled)
      }
      return { params: started[0], assertDone: () => check(null), assertUnwound: check }
    },
  }
}

const groupCreated: SagaCaseEntry = {
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const caller = await callerOf(c)
    const { ctx, settled } = running(platform, caller)
    await consistentType(ctx)
    const { ctx: quiet, started } = capturing(platform, caller)
    const { id } = await storage.createGroup(quiet, groupWish)
    const check = async (status: string) => {
      assert.equal((await storage.getGroup(ctx, { id })).status, status)
      await removeGroups(c, ctx, settled)
    }
    return {
      params: started[0],
      assertDone: () => check("available"),
      assertUnwound: () => check("error"),
    }
  },
}

const bothVolumes = ["available", "available"]
const nothingBefore = async () => ({})

export const groupCases: Readonly<Record<string, SagaCaseEntry>> = {
  "block_storage.group.create": groupCreated,
  "block_storage.group.delete": ofGroup({
    begin: nothingBefore,
    run: async (ctx, id) => void (await storage.deleteGroup(ctx, { id, deletesVolumes: true })),
    done: { ...noGroup, volumes: [], promisedGib: 0, data: 0 },
    unwound: { status: "error_deleting", volumes: ["error_deleting", "error_deleting"], promisedGib: 2 },
  }),
  "block_storage.group.create_from_source": ofGroup({
    begin: nothingBefore,
    run: async (ctx, id) =>
      await storage.createGroupFromSource(ctx, {
        name: "c",
        description: null,
        source: { kind: "group", id },
      }),
    done: { status: "available", volumes: bothVolumes, promisedGib: 4, data: 4 },
    unwound: { status: "error", volumes: ["error", "error"], promisedGib: 2, data: 2 },
  }),
  "block_storage.group_snapshot.create": ofGroup({
    begin: nothingBefore,
    run: async (ctx, groupId) =>
      void (await storage.createGroupSnapshot(ctx, { groupId, name: "s", description: null })),
    done: { status: "available", snapshots: 1, volumes: bothVolumes, promisedGib: 4, data: 4 },
    unwound: { status: "available", snapshots: 1, volumes: bothVolumes, promisedGib: 2, data: 2 },
  }),
  "block_storage.group_snapshot.delete": ofGroup({
    begin: async (ctx, groupId) => ({
      before: (await storage.createGroupSnapshot(ctx, { groupId, name: "s", description: null })).id,
    }),
    run: async (ctx, _groupId, before) => void (await storage.deleteGroupSnapshot(ctx, { id: before ?? "" })),
    done: { status: "available", snapshots: 0, volumes: bothVolumes, promisedGib: 2, data: 2 },
    unwound: { status: "available", snapshots: 1, promisedGib: 4 },
  }),
}
