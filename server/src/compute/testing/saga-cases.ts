import assert from "node:assert/strict"
import { readdir } from "node:fs/promises"
import { sql } from "kysely"
import { otherHost } from "../../../test/other-host.ts"
import {
  callerOf,
  capturing,
  running,
  type SagaCaseEntry,
  type SagaParams,
  startedBy,
  statusOfImage,
} from "../../../test/saga-case.ts"
import type { ServerCloud } from "../../../test/server-cloud.ts"
import { disksOf, volumeIs, volumeNow, volumeWish } from "../../../test/volume-cloud.ts"
import { agentDirectories } from "../../agent/machine-store.ts"
import { createVolume } from "../../block-storage/index.ts"
import { eventually } from "../../platform/clock/clock.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { reconcileMachines } from "../host/machines.reconciler.ts"
import * as compute from "../index.ts"
import { liveMigrateSaga } from "../server/live-migrate.saga.ts"
import type { Server } from "../server/server.ts"
import { selectServer } from "../server/store.ts"
import {
  active,
  type Holdings,
  holdingsOf,
  machineOf,
  micro,
  microRam,
  nanoRam,
  nothing,
  ofServer,
  serverWish,
  shut,
} from "./server-case.ts"
import {
  attachment,
  closing,
  opening,
  volumeAt,
  volumeUnless,
  withSharedVolume,
  withVolume,
} from "./volume-case.ts"

function keptFor(ms: number, verb: (ctx: Ctx, server: Server) => Promise<unknown>) {
  return (ctx: Ctx, server: Server) => {
    const compute = { ...ctx.config.compute, reclaimIntervalMs: ms }
    return verb(Object.create(ctx, { config: { value: { ...ctx.config, compute } } }) as Ctx, server)
  }
}

const createCase: SagaCaseEntry = {
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const caller = await callerOf(c)
    const { ctx, started } = capturing(platform, caller)
    const [made] = await compute.createServers(ctx, serverWish(c))
    assert.ok(made)
    const end = async (expected: Holdings) => {
      assert.deepEqual(await holdingsOf(c, made.id), expected)
      const { ctx: deleting, settled } = running(platform, caller)
      await compute.deleteServer(deleting, { serverId: made.id })
      await settled()
      assert.deepEqual(await holdingsOf(c, made.id), nothing)
    }
    // The last attempt: an earlier one would be begun again elsewhere.
    const params = { ...started[0], attempt: platform.config.compute.scheduleAttemptsMost }
    return {
      params,
      assertDone: () => end(active),
      assertUnwound: () => end({ ...nothing, status: "ERROR" }),
    }
  },
}

const onVolume = {
  ...{ sourceType: "image", destinationType: "volume", bootIndex: 0, sizeGib: 1, guestFormat: null },
  ...{ deviceName: null, deleteOnTermination: true, volumeType: null, tag: null, diskBus: null },
}

/** One volume is there already, and one is made to boot from. */
const createWithVolumesCase: SagaCaseEntry = {
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const caller = await callerOf(c)
    const { ctx: making, settled } = running(platform, caller)
    const { id: volumeId } = await createVolume(making, volumeWish)
    await settled()
    const { ctx, started } = capturing(platform, caller)
    const there = { ...onVolume, sourceType: "volume", uuid: volumeId, bootIndex: null }
    const blockDevices = [
      { ...onVolume, uuid: c.imageId },
      { ...there, deleteOnTermination: false },
    ]
    const [made] = await compute.createServers(ctx, { ...serverWish(c), imageId: null, blockDevices })
    assert.ok(made)
    const end = async (expected: Holdings, volumes: string[]) => {
      assert.deepEqual(await holdingsOf(c, made.id), expected)
      assert.equal((await volumeNow(c, volumeId))?.status, volumes.length > 0 ? "in-use" : "available")
      assert.equal((await disksOf(c, made.id)).length, volumes.length)
      const { ctx: deleting, settled: isDeleted } = running(platform, caller)
      await compute.deleteServer(deleting, { serverId: made.id })
      await isDeleted()
      assert.deepEqual(await holdingsOf(c, made.id), nothing)
      await volumeIs(c, volumeId, "available")
      const left = sql`select id from block_storage.volume where image_id is not null`
      await eventually(
        "what was made for the server to go with it",
        async () => (await left.execute(platform.db)).rows.length === 0,
      )
    }
    return {
      params: started[0],
      assertDone: () => end(active, ["root", "data"]),
      assertUnwound: () => end({ ...nothing, status: "ERROR" }, []),
    }
  },
}

/** Of a server that boots from a volume: the image with snapshots of its volumes, or nothing of either. */
const createVolumeImageCase: SagaCaseEntry = {
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const caller = await callerOf(c)
    const { ctx, settled } = running(platform, caller)
    const blockDevices = [{ ...onVolume, uuid: c.imageId, deleteOnTermination: false }]
    const [made] = await compute.createServers(ctx, { ...serverWish(c), imageId: null, blockDevices })
    assert.ok(made)
    await settled()
    const { ctx: quiet, started } = capturing(platform, caller, "compute.server.create_volume_image")
    await compute.createServerImage(quiet, { serverId: made.id, ...fixedImage })
    const [params] = started
    assert.ok(params)
    // What looks whether a lost worker changes rows wants nobody else to change any.
    await eventually("the snapshot to be made", async () => {
      const making = sql`select id from block_storage.snapshot where status = 'creating'`
      return (await making.execute(platform.db)).rows.length === 0
    })
    const snapshots = async () =>
      (
        await sql`select id from block_storage.snapshot
          where id = any(${params.snapshotIds}::uuid[])`.execute(platform.db)
      ).rows
    const end = async (hasImage: boolean) => {
      assert.deepEqual(await holdingsOf(c, made.id), active)
      assert.equal(await statusOfImage(c, params.imageId), hasImage ? "active" : undefined)
      // What is taken back goes by a saga of its own.
      const left = hasImage ? 1 : 0
      await eventually(`${left} snapshots`, async () => (await snapshots()).length === left)
    }
    return { params, assertDone: () => end(true), assertUnwound: () => end(false) }
  },
}

/** The machine is gone and its volume what it was, or half of something, or whole: each by the step that failed. */
const rebuildOnVolumeCase: SagaCaseEntry = {
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const caller = await callerOf(c)
    const { ctx, settled } = running(platform, caller)
    const blockDevices = [{ ...onVolume, uuid: c.imageId }]
    const [made] = await compute.createServers(ctx, { ...serverWish(c), imageId: null, blockDevices })
    assert.ok(made)
    await settled()
    const { ctx: quiet, started } = capturing(platform, caller, "compute.server.rebuild_on_volume")
    await compute.rebuildServer(quiet, { serverId: made.id, imageId: c.imageId, makesVolumeAnew: true })
    const [params] = started
    assert.ok(params)
    const end = async (expected: Partial<Holdings>, volumeStatus: string) => {
      const found = await holdingsOf(c, made.id)
      assert.deepEqual({ ...found, ...expected }, found)
      const { volumeId } = params.reimage
      assert.equal((await volumeNow(c, volumeId))?.status, volumeStatus)
      await compute.deleteServer(ctx, { serverId: made.id })
      await settled()
      assert.deepEqual(await holdingsOf(c, made.id), nothing)
      await eventually("the volume to go", async () => (await volumeNow(c, volumeId)) === undefined)
    }
    return {
      params,
      assertDone: () => end(active, "in-use"),
      assertUnwound: (step) =>
        end({ status: "ERROR", room: [nanoRam] }, step === "write" ? "error" : "in-use"),
    }
  },
}

/**
 * The image of a saga that makes one: gone when one of these steps failed, else there with its data. The host keeps no
 * copy in either case.
 */
const imageUnless =
  (steps: readonly string[]) => async (c: ServerCloud, params: SagaParams, failed: string | null) => {
    assert.equal(await statusOfImage(c, params.imageId), steps.includes(failed ?? "") ? undefined : "active")
    assert.deepEqual(await readdir(agentDirectories(c.cloud.dataDir).snapshots), [])
  }

const id = (server: Server) => ({ serverId: server.id })

/** What is left on the host before the reconciler of machines removes. */
async function leftBehind(c: ServerCloud, _params: SagaParams, failed: string | null): Promise<void> {
  if (failed !== null) await reconcileMachines(c.cloud.cloud.platform, new AbortController().signal)
  await closing(c)
}

/** As an operator says it. */
async function setForcedDown({ db }: Pick<Platform, "db">, host: string, isDown: boolean): Promise<void> {
  await sql`update compute.host set is_forced_down = ${isDown} where name = ${host}`.execute(db)
}

/** The host that is back keeps nothing of a server that another one has. */
async function backAgain(c: ServerCloud, { serverId }: SagaParams): Promise<void> {
  const { platform } = c.cloud.cloud
  await setForcedDown(platform, "host1", false)
  await reconcileMachines(platform, new AbortController().signal)
  const host = (await selectServer(platform.db, serverId))?.host
  if (host !== "host1") assert.deepEqual(await machineOf(c, serverId), { machine: "none" })
  await closing(c)
}

async function untilArrived(c: ServerCloud, serverId: string): Promise<void> {
  const { platform } = c.cloud.cloud
  await eventually("the server to arrive", async () => {
    const [server, { machine }] = await Promise.all([
      selectServer(platform.db, serverId),
      machineOf(c, serverId),
    ])
    return server?.taskState === null && machine === "none"
  })
}

const shelved: Holdings = { status: "SHELVED_OFFLOADED", room: [], ports: [""], machine: "none" }
const fixedImage = { name: "snap", metadata: {} }

export const sagaCases: Readonly<Record<string, SagaCaseEntry>> = {
  "compute.server.create": createCase,
  "compute.server.create_with_volumes": createWithVolumesCase,
  "compute.server.delete": ofServer({
    begin: (ctx, server) => compute.deleteServer(ctx, id(server)),
    done: nothing,
    unwound: { status: "ERROR" },
    // From there on it is gone.
    pointOfNoReturn: "release",
  }),
  "compute.server.start": ofServer({
    before: (ctx, server) => compute.stopServer(ctx, id(server)),
    begin: (ctx, server) => compute.startServer(ctx, id(server)),
    done: active,
    unwound: { status: "SHUTOFF" },
  }),
  "compute.server.stop": ofServer({
    begin: (ctx, server) => compute.stopServer(ctx, id(server)),
    done: shut,
    unwound: { status: "ACTIVE" },
  }),
  "compute.server.reboot_soft": ofServer({
    begin: (ctx, server) => compute.rebootServer(ctx, id(server)),
    done: active,
    unwound: active,
  }),
  "compute.server.reboot_hard": ofServer({
    begin: (ctx, server) => compute.hardRebootServer(ctx, id(server)),
    done: active,
    unwound: { ...active, status: "ERROR" },
  }),
  "compute.server.pause": ofServer({
    begin: (ctx, server) => compute.pauseServer(ctx, id(server)),
    done: { ...active, status: "PAUSED", machine: "paused" },
    unwound: { status: "ACTIVE" },
  }),
  "compute.server.unpause": ofServer({
    before: (ctx, server) => compute.pauseServer(ctx, id(server)),
    begin: (ctx, server) => compute.unpauseServer(ctx, id(server)),
    done: active,
    unwound: { status: "PAUSED" },
  }),
  "compute.server.suspend": ofServer({
    begin: (ctx, server) => compute.suspendServer(ctx, id(server)),
    done: { ...active, status: "SUSPENDED", machine: "suspended" },
    unwound: { status: "ACTIVE" },
  }),
  "compute.server.resume": ofServer({
    before: (ctx, server) => compute.suspendServer(ctx, id(server)),
    begin: (ctx, server) => compute.resumeServer(ctx, id(server)),
    done: active,
    unwound: { status: "SUSPENDED" },
  }),
  "compute.server.rebuild": ofServer({
    begin: (ctx, server) => compute.rebuildServer(ctx, { ...id(server), imageId: server.imageId ?? "" }),
    done: active,
    unwound: { status: "ERROR", room: [nanoRam], ports: ["host1"] },
  }),
  "compute.server.rebuild_on_volume": rebuildOnVolumeCase,
  "compute.server.rescue": ofServer({
    begin: (ctx, server) => compute.rescueServer(ctx, { ...id(server), imageId: null }),
    done: { ...active, status: "RESCUE" },
    unwound: { status: "ERROR", room: [nanoRam], ports: ["host1"] },
  }),
  "compute.server.unrescue": ofServer({
    before: (ctx, server) => compute.rescueServer(ctx, { ...id(server), imageId: null }),
    begin: (ctx, server) => compute.unrescueServer(ctx, id(server)),
    done: active,
    unwound: { status: "ERROR", room: [nanoRam], ports: ["host1"] },
  }),
  "compute.server.create_image": ofServer({
    begin: (ctx, server) => compute.createServerImage(ctx, { ...id(server), ...fixedImage }),
    done: active,
    unwound: active,
    check: imageUnless(["snapshot", "upload"]),
  }),
  "compute.server.create_volume_image": createVolumeImageCase,
  "compute.server.create_backup": ofServer({
    begin: (ctx, server) =>
      compute.createServerBackup(ctx, { ...id(server), ...fixedImage, backupType: "daily", rotation: 1 }),
    done: active,
    unwound: active,
    check: imageUnless(["snapshot", "upload"]),
  }),
  "compute.server.resize": ofServer({
    begin: (ctx, server) => compute.resizeServer(ctx, { ...id(server), flavorId: micro }),
    done: { ...active, status: "VERIFY_RESIZE", room: [microRam, nanoRam] },
    unwound: active,
  }),
  "compute.server.revert_resize": ofServer({
    before: (ctx, server) => compute.resizeServer(ctx, { ...id(server), flavorId: micro }),
    begin: (ctx, server) => compute.revertResize(ctx, id(server)),
    done: active,
    unwound: { status: "ERROR", room: [microRam, nanoRam], ports: ["host1"] },
  }),
  "compute.server.migrate": ofServer({
    before: opening,
    begin: (ctx, server) => compute.migrateServer(ctx, { ...id(server), host: null }),
    done: { status: "VERIFY_RESIZE", room: [nanoRam, nanoRam], ports: [otherHost], machine: "shutdown" },
    unwound: active,
    check: closing,
  }),
  "compute.server.revert_migrate": ofServer({
    before: async (ctx, server, settled) => {
      await opening(ctx)
      await compute.migrateServer(ctx, { ...id(server), host: otherHost })
      await settled()
    },
    begin: (ctx, server) => compute.revertResize(ctx, id(server)),
    done: active,
    unwound: { status: "ERROR" },
    check: closing,
  }),
  "compute.server.live_migrate": ofServer({
    before: withSharedVolume,
    begin: (ctx, server) =>
      compute.migrateServerLive(ctx, { ...id(server), host: otherHost, isBlockMigration: null }),
    done: { status: "ACTIVE", room: [nanoRam], ports: [otherHost], machine: "none" },
    unwound: active,
    settles: (c, { serverId }) => untilArrived(c, serverId),
    check: async (...seen) => {
      await volumeAt((failed) => (failed === null ? otherHost : "host1"))(...seen)
      await closing(seen[0])
    },
  }),
  "compute.server.evacuate": ofServer({
    before: async (ctx) => {
      await opening(ctx)
      await setForcedDown(ctx, "host1", true)
    },
    begin: (ctx, server) => compute.evacuateServer(ctx, { ...id(server), host: null }),
    // Down as it is said to be, it hears that its guest is to end.
    done: { status: "ACTIVE", room: [nanoRam], ports: [otherHost], machine: "shutdown" },
    unwound: { status: "ERROR", room: [nanoRam], ports: ["host1"] },
    check: backAgain,
  }),
  "compute.server.arrive": ofServer({
    before: withSharedVolume,
    begin: (ctx, server) =>
      compute.migrateServerLive(ctx, { ...id(server), host: otherHost, isBlockMigration: null }),
    startedBy: async (c, params) => {
      const { platform } = c.cloud.cloud
      const [arrive] = await startedBy(platform, await callerOf(c), liveMigrateSaga, params)
      return arrive
    },
    done: { status: "ACTIVE", room: [nanoRam], ports: [otherHost], machine: "none" },
    // It is on the new host from the first step on.
    unwound: (step) => (step === "leave" ? { status: "ACTIVE" } : { status: "ERROR" }),
    check: async (...seen) => {
      await volumeAt(() => otherHost)(...seen)
      await leftBehind(...seen)
    },
  }),
  "compute.server.leave_host": ofServer({
    before: async (ctx, server, settled) => {
      await opening(ctx)
      await compute.migrateServer(ctx, { ...id(server), host: otherHost })
      await settled()
    },
    begin: (ctx, server) => compute.confirmResize(ctx, id(server)),
    done: { status: "ACTIVE", room: [nanoRam], ports: [otherHost], machine: "none" },
    unwound: { status: "ACTIVE", room: [nanoRam], ports: [otherHost] },
    check: leftBehind,
  }),
  "compute.server.attach_interface": ofServer({
    begin: (ctx, server) =>
      compute.attachInterface(ctx, {
        ...id(server),
        networkId: null,
        portId: null,
        fixedIp: null,
        tag: null,
      }),
    done: { ...active, ports: ["host1", "host1"] },
    unwound: active,
  }),
  "compute.server.detach_interface": ofServer({
    begin: async (ctx, server) => {
      const [nic] = await compute.listServerInterfaces(ctx, id(server))
      await compute.detachInterface(ctx, { ...id(server), portId: nic?.portId ?? "" })
    },
    done: { ...active, ports: [] },
    // Without its device, until it is detached again or the machine starts.
    unwound: active,
  }),
  "compute.server.attach_volume": ofServer({
    before: withVolume,
    begin: (ctx, server) => compute.attachVolume(ctx, attachment(server)),
    done: active,
    unwound: active,
    check: volumeUnless("available"),
  }),
  "compute.server.detach_volume": ofServer({
    before: async (ctx, server, settled) => {
      await withVolume(ctx, server, settled)
      await compute.attachVolume(ctx, attachment(server))
    },
    begin: (ctx, server) => compute.detachVolume(ctx, attachment(server)),
    done: active,
    unwound: active,
    check: volumeUnless("in-use"),
  }),
  "compute.server.shelve": ofServer({
    begin: (ctx, server) => compute.shelveServer(ctx, id(server)),
    done: shelved,
    unwound: (step) => (step === "snapshot" ? active : { status: "SHELVED" }),
    check: imageUnless(["snapshot"]),
  }),
  "compute.server.soft_delete": ofServer({
    begin: keptFor(60_000, (ctx, server) => compute.deleteServer(ctx, id(server))),
    done: { ...shut, status: "SOFT_DELETED" },
    unwound: { status: "ACTIVE" },
  }),
  "compute.server.restore": ofServer({
    before: keptFor(60_000, (ctx, server) => compute.deleteServer(ctx, id(server))),
    begin: (ctx, server) => compute.restoreServer(ctx, id(server)),
    done: active,
    unwound: { status: "SOFT_DELETED" },
  }),
  "compute.server.shelve_offload": ofServer({
    // As one whose host did not answer when it was shelved.
    before: async (ctx, server, settled) => {
      await compute.shelveServer(ctx, id(server))
      await settled()
      await ctx.db
        .updateTable("compute.server")
        .set({ vm_state: "shelved", host: "host1" })
        .where("id", "=", server.id)
        .execute()
    },
    begin: (ctx, server) => compute.shelveOffloadServer(ctx, id(server)),
    done: shelved,
    unwound: { status: "SHELVED" },
  }),
  "compute.server.trigger_crash_dump": ofServer({
    begin: (ctx, server) => compute.triggerCrashDump(ctx, id(server)),
    done: active,
    unwound: active,
  }),
  "compute.server.unshelve": ofServer({
    before: (ctx, server) => compute.shelveServer(ctx, id(server)),
    begin: (ctx, server) => compute.unshelveServer(ctx, id(server)),
    done: active,
    unwound: shelved,
    // The disk is the server's own again at the end; until then the image is all that there is of it.
    check: async (c, params, failed) =>
      assert.equal(await statusOfImage(c, params.imageId), failed === null ? undefined : "active"),
  }),
}
