import assert from "node:assert/strict"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import {
  callerOf,
  capturing,
  running,
  type SagaCaseEntry,
  type SagaParams,
  statusOfImage,
} from "../../../test/saga-case.ts"
import type { ServerCloud } from "../../../test/server-cloud.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { refuseKeyInDoubt } from "../backup/key.ts"
import * as storage from "../index.ts"
import { newKeyRow, passphraseOf, selectKey } from "../volume/stored-key.ts"
import { groupCases } from "./group-saga-cases.ts"

interface Holdings {
  status: string
  /** GiB that the pool has promised to the volume and its snapshots. */
  promisedGib: number
  /** Data on the host, of the volume and of its snapshots. */
  data: number
  sizeGib: number | null
}

/** Of one that was to move. */
interface Placed extends Holdings {
  place: string | null
  target: string | null
  migration: string | null
}

const gib = 1024 ** 3

async function placedOf(c: ServerCloud, volumeId: string): Promise<Placed> {
  const { db } = c.cloud.database
  const volume = await db
    .selectFrom("block_storage.volume")
    .select(["backend as place", "target_backend as target", "migration_status as migration"])
    .where("id", "=", volumeId)
    .executeTakeFirst()
  return {
    ...(await holdingsOf(c, volumeId)),
    ...(volume ?? { place: null, target: null, migration: null }),
  }
}

async function holdingsOf(c: ServerCloud, volumeId: string): Promise<Holdings> {
  const { db } = c.cloud.database
  const [volume, pools, snapshots] = await Promise.all([
    db.selectFrom("block_storage.volume").selectAll().where("id", "=", volumeId).executeTakeFirst(),
    db.selectFrom("block_storage.pool").select("promised_bytes").execute(),
    db.selectFrom("block_storage.snapshot").select("id").where("volume_id", "=", volumeId).execute(),
  ])
  const list = (backend: string) => c.cloud.cloud.agent.agent.handle("volume.list", { backend })
  const there = (await Promise.all(["fake", "fake2"].map(list))).flat()
  const ids = new Set([volumeId, ...snapshots.map(({ id }) => id)])
  return {
    status: volume?.status ?? "gone",
    promisedGib: pools.reduce((sum, { promised_bytes: bytes }) => sum + Number(bytes), 0) / gib,
    data: there.filter((each) => ids.has(each.volumeId)).length,
    sizeGib: volume?.size_gib ?? null,
  }
}

const wish: Parameters<typeof storage.createVolume>[1] = {
  name: "v",
  description: null,
  sizeGib: 1,
  volumeType: null,
  imageId: null,
  snapshotId: null,
  sourceVolumeId: null,
  availabilityZone: null,
  metadata: {},
}

const available: Holdings = { status: "available", promisedGib: 1, data: 1, sizeGib: 1 }
const gone: Holdings = { status: "gone", promisedGib: 0, data: 0, sizeGib: null }

interface VolumeCase {
  /** What the operation is called on; default: an available volume of 1 GiB. */
  before?: (ctx: Ctx, volumeId: string, settled: () => Promise<void>) => Promise<unknown>
  begin: (ctx: Ctx, volumeId: string, c: ServerCloud) => Promise<unknown>
  done: Partial<Placed>
  unwound: Partial<Placed>
  check?: (c: ServerCloud, params: SagaParams, failedStep: string | null, volumeId: string) => Promise<void>
  pointOfNoReturn?: string
}

async function snapshotOf(ctx: Ctx, volumeId: string) {
  return await storage.createSnapshot(ctx, {
    ...{ volumeId, name: "s", description: null, metadata: {}, mayBeInUse: false },
  })
}

function ofVolume(each: VolumeCase): SagaCaseEntry {
  return {
    ...(each.pointOfNoReturn === undefined ? {} : { pointOfNoReturn: each.pointOfNoReturn }),
    arrange: async (c) => {
      const { platform } = c.cloud.cloud
      const caller = await callerOf(c)
      const { ctx, settled } = running(platform, caller)
      const { id } = await storage.createVolume(ctx, wish)
      await settled()
      await each.before?.(ctx, id, settled)
      await settled()
      const { ctx: quiet, started } = capturing(platform, caller)
      await each.begin(quiet, id, c)
      assert.equal(started.length, 1, "the operation starts its saga")
      const check = async (failedStep: string | null) => {
        const expected = failedStep === null ? each.done : each.unwound
        const found = await placedOf(c, id)
        const seen = Object.fromEntries(Object.keys(expected).map((key) => [key, found[key as keyof Placed]]))
        assert.deepEqual(seen, expected)
        await each.check?.(c, started[0], failedStep, id)
        await removeAll(ctx, id, settled)
        assert.deepEqual(await holdingsOf(c, id), gone, "a delete finds all that is left")
      }
      return { params: started[0], assertDone: () => check(null), assertUnwound: check }
    },
  }
}

async function removeAll(ctx: Ctx, id: string, settled: () => Promise<void>): Promise<void> {
  try {
    await storage.deleteVolume(ctx, { id, isCascading: true, isForced: true })
  } catch (error) {
    if (!storage.volumeNotFound.is(error)) throw error
  }
  await settled()
}

const created: SagaCaseEntry = {
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const caller = await callerOf(c)
    const { ctx, settled } = running(platform, caller)
    const { ctx: quiet, started } = capturing(platform, caller)
    const { id } = await storage.createVolume(quiet, wish)
    const check = async (expected: Holdings) => {
      assert.deepEqual(await holdingsOf(c, id), expected)
      await removeAll(ctx, id, settled)
      assert.deepEqual(await holdingsOf(c, id), gone, "a delete finds all that is left")
    }
    return {
      params: started[0],
      assertDone: () => check(available),
      assertUnwound: () => check({ status: "error", promisedGib: 0, data: 0, sizeGib: 1 }),
    }
  },
}

async function firstSnapshotOf(ctx: Ctx, volumeId: string): Promise<string> {
  const query = { filters: { volumeId: [volumeId] } }
  const { items } = await storage.listSnapshots(ctx, { isOfAllProjects: false, query, offset: 0 })
  return items[0]?.id ?? ""
}

/** Of the data that the case is about. */
let dataName = ""

async function besideVolumes(c: ServerCloud): Promise<string[]> {
  const data = await c.cloud.cloud.agent.agent.handle("volume.unmanaged", { backend: "fake" })
  return data.map(({ name }) => name)
}

/** So that the next case begins with none. */
async function takeAway(c: ServerCloud): Promise<void> {
  const { agent: host, platform } = c.cloud.cloud
  const { agent } = host
  for (const name of await besideVolumes(c)) {
    const [volumeId, fence] = [newUuid(), { epoch: platform.epoch.number, generation: 1, fence: 1 }]
    await agent.handle("volume.manage", { volumeId, backend: "fake", name, sizeBytes: gib, fence })
    await agent.handle("volume.delete", { volumeId, backend: "fake", fence })
  }
}

const managed: SagaCaseEntry = {
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const caller = await callerOf(c)
    const { ctx, settled } = running(platform, caller)
    const { id: first } = await storage.createVolume(ctx, wish)
    await settled()
    await storage.unmanageVolume(ctx, { id: first })
    await settled()
    const { ctx: quiet, started } = capturing(platform, caller)
    const name = `volume-${first}`
    const { id } = await storage.manageVolume(quiet, {
      ...{ host: "host1@fake", dataName: name, name: "v", description: null, volumeType: null },
      ...{ availabilityZone: null, metadata: {}, isBootable: false },
    })
    const check = async (expected: Holdings, beside: string[]) => {
      assert.deepEqual(await holdingsOf(c, id), expected)
      assert.deepEqual(await besideVolumes(c), beside)
      await takeAway(c)
      await removeAll(ctx, id, settled)
      assert.deepEqual(await holdingsOf(c, id), gone, "a delete finds all that is left")
    }
    return {
      params: started[0],
      assertDone: () => check(available, []),
      assertUnwound: () => check({ status: "error_managing", promisedGib: 0, data: 0, sizeGib: 1 }, [name]),
    }
  },
}

const backupWish = {
  ...{
    snapshotId: null,
    name: "b",
    description: null,
    container: null,
    availabilityZone: null,
    metadata: {},
  },
  ...{ isIncremental: false, mayBeInUse: false },
}

/** The status of the volume's backup, and how many backups are in the store that are no other volume's. */
async function backupNow(c: ServerCloud, volumeId: string): Promise<[status: string, stored: number]> {
  const rows = await c.cloud.database.db
    .selectFrom("block_storage.backup")
    .select(["status", "data_id", "volume_id"])
    .execute()
  const others = new Set(rows.filter((row) => row.volume_id !== volumeId).map((row) => row.data_id))
  const directory = join(c.cloud.dataDir, "volume-backups", "volumebackups")
  const stored = (await readdir(directory).catch(() => [])).filter((dataId) => !others.has(dataId))
  return [rows.find((row) => row.volume_id === volumeId)?.status ?? "gone", stored.length]
}

async function backedUp(ctx: Ctx, volumeId: string, settled: () => Promise<void>): Promise<void> {
  await storage.createBackup(ctx, { ...backupWish, volumeId })
  await settled()
}

async function backupOf(ctx: Ctx, volumeId: string): Promise<string> {
  const query = { filters: { volumeId: [volumeId] } }
  const { items } = await storage.listBackups(ctx, { isOfAllProjects: false, query, offset: 0 })
  return items[0]?.id ?? ""
}

/** As if volume and backup had been encrypted, each with a key that the other one's data have not. */
async function encryptApart(ctx: Ctx, volumeId: string): Promise<void> {
  const how = { provider: "luks", controlLocation: "front-end", cipher: null, keySize: null } as const
  await ctx.db
    .insertInto("block_storage.volume_key")
    .values({ volume_id: volumeId, ...newKeyRow(ctx, how, "of the volume") })
    .execute()
  const ofBackup = { backup_id: await backupOf(ctx, volumeId), volume_type_id: null }
  await ctx.db
    .insertInto("block_storage.backup_key")
    .values({ ...ofBackup, ...newKeyRow(ctx, how, "of the backup") })
    .execute()
}

async function encryptedType({ clock, db }: Ctx): Promise<string> {
  const id = newUuid()
  await db
    .insertInto("block_storage.volume_type")
    .values({ id, name: id, description: null, created_at: clock.now() })
    .execute()
  const how = { provider: "luks", control_location: "front-end", cipher: null, key_size: null }
  await db
    .insertInto("block_storage.type_encryption")
    .values({ id: newUuid(), volume_type_id: id, ...how, created_at: clock.now() })
    .execute()
  return id
}

export const sagaCases: Readonly<Record<string, SagaCaseEntry>> = {
  ...groupCases,
  "block_storage.backup.create": ofVolume({
    begin: (ctx, volumeId) => storage.createBackup(ctx, { ...backupWish, volumeId }),
    done: { status: "available" },
    unwound: { status: "available" },
    check: async (c, _params, failedStep, volumeId) => {
      const expected = failedStep === null ? ["available", 1] : ["error", 0]
      assert.deepEqual(await backupNow(c, volumeId), expected)
    },
  }),
  "block_storage.backup.delete": ofVolume({
    before: backedUp,
    begin: async (ctx, volumeId) =>
      await storage.deleteBackup(ctx, { id: await backupOf(ctx, volumeId), isForced: false }),
    done: { status: "available" },
    unwound: { status: "available" },
    check: async (c, _params, failedStep, volumeId) => {
      const [status, stored] = await backupNow(c, volumeId)
      assert.equal(status, failedStep === null ? "gone" : "error_deleting")
      if (failedStep === null) assert.equal(stored, 0)
    },
  }),
  "block_storage.backup.restore": ofVolume({
    before: async (ctx, volumeId, settled) => {
      await backedUp(ctx, volumeId, settled)
      await encryptApart(ctx, volumeId)
    },
    begin: async (ctx, volumeId) =>
      await storage.restoreBackup(ctx, { id: await backupOf(ctx, volumeId), volumeId, name: null }),
    done: { status: "available" },
    unwound: { status: "error_restoring" },
    check: async (c, _params, failedStep, volumeId) => {
      assert.deepEqual(await backupNow(c, volumeId), ["available", 1])
      const key = await selectKey(c.cloud.database.db, volumeId)
      assert.ok(key)
      const isRestored = failedStep === null
      const passphrase = passphraseOf(c.cloud.cloud.platform, volumeId, key)
      assert.equal(passphrase, isRestored ? "of the backup" : "of the volume")
      const inDoubt = refuseKeyInDoubt(c.cloud.database.db, volumeId)
      await (isRestored ? inDoubt : assert.rejects(inDoubt, /nobody knows the key/))
    },
  }),
  "block_storage.volume.create": created,
  "block_storage.volume.delete": ofVolume({
    before: async (ctx, id) => void (await snapshotOf(ctx, id)),
    begin: (ctx, id) => storage.deleteVolume(ctx, { id, isCascading: true, isForced: false }),
    done: gone,
    unwound: { status: "error_deleting" },
    check: async (c, { volumeId }, failedStep) => {
      const snapshots = await c.cloud.database.db
        .selectFrom("block_storage.snapshot")
        .select("status")
        .where("volume_id", "=", volumeId)
        .execute()
      const expected = failedStep === null ? [] : ["error_deleting"]
      assert.deepEqual(
        snapshots.map(({ status }) => status),
        expected,
      )
    },
  }),
  "block_storage.volume.extend": ofVolume({
    begin: (ctx, id) => storage.extendVolume(ctx, { id, sizeGib: 3, mayBeInUse: false }),
    done: { status: "available", promisedGib: 3, sizeGib: 3 },
    unwound: { status: "error_extending", promisedGib: 1, sizeGib: 1 },
  }),
  "block_storage.volume.move": ofVolume({
    begin: (ctx, id) => storage.migrateVolume(ctx, { id, host: "host1@fake2", isLocked: true }),
    done: {
      status: "available",
      promisedGib: 1,
      data: 1,
      place: "fake2",
      migration: "success",
      target: null,
    },
    unwound: {
      status: "available",
      promisedGib: 1,
      data: 1,
      place: "fake",
      migration: "error",
      target: null,
    },
    check: async (c, { volumeId }, failedStep) => {
      // One of the two has it, and the row names that one.
      const backend = failedStep === null ? "fake2" : "fake"
      const asked = { volumeId, backend }
      const { volume } = await c.cloud.cloud.agent.agent.handle("volume.inspect", asked)
      assert.ok(volume, `it is in ${backend}`)
    },
  }),
  "block_storage.volume.revert": ofVolume({
    before: async (ctx, id) => void (await snapshotOf(ctx, id)),
    begin: async (ctx, id) => {
      await storage.revertVolume(ctx, { id, snapshotId: await firstSnapshotOf(ctx, id) })
    },
    done: { status: "available", promisedGib: 2, data: 2 },
    unwound: { status: "error", promisedGib: 2, data: 2 },
  }),
  "block_storage.volume.recode": ofVolume({
    begin: async (ctx, id) => {
      const volumeType = await encryptedType(ctx)
      await storage.retypeVolume(ctx, { id, volumeType, mayMove: true })
    },
    done: { status: "available", promisedGib: 1, data: 1 },
    unwound: { status: "available", promisedGib: 1, data: 1 },
    check: async (c, { volumeId }, failedStep) => {
      const { db } = c.cloud.database
      const isDone = failedStep === null
      assert.equal((await selectKey(db, volumeId)) !== undefined, isDone)
      await refuseKeyInDoubt(db, volumeId)
    },
  }),
  "block_storage.volume.upload": ofVolume({
    begin: (ctx, id) =>
      storage.uploadVolume(ctx, {
        ...{ id, imageName: "i", diskFormat: "raw", containerFormat: "bare", visibility: "private" },
        ...{ isProtected: false, mayBeInUse: false },
      }),
    done: { status: "available" },
    unwound: { status: "available" },
    check: async (c, { imageId }, failedStep) => {
      assert.equal(await statusOfImage(c, imageId), failedStep === null ? "active" : undefined)
    },
  }),
  "block_storage.volume.reimage": ofVolume({
    begin: (ctx, id, { imageId }) => storage.reimageVolume(ctx, { id, imageId, mayBeReserved: false }),
    done: { status: "available", promisedGib: 1, data: 1 },
    unwound: { status: "error", promisedGib: 1, data: 1 },
  }),
  "block_storage.volume.unmanage": ofVolume({
    begin: (ctx, id) => storage.unmanageVolume(ctx, { id }),
    done: gone,
    unwound: { status: "error_unmanaging", promisedGib: 1 },
    check: async (c, { volumeId }, failedStep) => {
      if (failedStep === null) assert.deepEqual(await besideVolumes(c), [`volume-${volumeId}`])
      await takeAway(c)
    },
  }),
  "block_storage.volume.manage": managed,
  "block_storage.snapshot.unmanage": ofVolume({
    before: async (ctx, id) => void (await snapshotOf(ctx, id)),
    begin: async (ctx, id) => {
      await storage.unmanageSnapshot(ctx, { id: await firstSnapshotOf(ctx, id) })
    },
    done: { status: "available", promisedGib: 1, data: 1 },
    unwound: { status: "available", promisedGib: 2 },
    check: async (c, { snapshotId }, failedStep) => {
      if (failedStep === null) assert.deepEqual(await besideVolumes(c), [`_snapshot-${snapshotId}`])
      await takeAway(c)
    },
  }),
  "block_storage.snapshot.manage": ofVolume({
    before: async (ctx, id, settled) => {
      await snapshotOf(ctx, id)
      await settled()
      const snapshotId = await firstSnapshotOf(ctx, id)
      await storage.unmanageSnapshot(ctx, { id: snapshotId })
      dataName = `_snapshot-${snapshotId}`
    },
    begin: (ctx, volumeId) =>
      storage.manageSnapshot(ctx, { volumeId, dataName, name: "s", description: null, metadata: {} }),
    done: { status: "available", promisedGib: 2, data: 2 },
    unwound: { status: "available", promisedGib: 1, data: 1 },
    check: async (c, _params, failedStep) => {
      assert.deepEqual(await besideVolumes(c), failedStep === null ? [] : [dataName])
      await takeAway(c)
    },
  }),
  "block_storage.snapshot.create": ofVolume({
    begin: snapshotOf,
    done: { status: "available", promisedGib: 2, data: 2 },
    unwound: { status: "available", promisedGib: 1, data: 1 },
  }),
  "block_storage.snapshot.delete": ofVolume({
    before: async (ctx, id) => void (await snapshotOf(ctx, id)),
    begin: async (ctx, id) => {
      await storage.deleteSnapshot(ctx, { id: await firstSnapshotOf(ctx, id), isForced: false })
    },
    done: { status: "available", promisedGib: 1, data: 1 },
    unwound: { status: "available", promisedGib: 2 },
  }),
}
