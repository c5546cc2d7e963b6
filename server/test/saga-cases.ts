// A case for each saga that there is: how its operation leaves the rows, and what must be there at its end and after
// its unwinding. The operations themselves begin them, with a starter that keeps the parameters and starts nothing.
import assert from "node:assert/strict"
import { sql } from "kysely"
import * as compute from "../src/compute/index.ts"
import { migrationConsumerOf } from "../src/compute/server/delete.saga.ts"
import type { Server } from "../src/compute/server/server.ts"
import { selectServer } from "../src/compute/server/store.ts"
import type { SagaRunner } from "../src/engine/saga/runner.ts"
import { importImage } from "../src/image/index.ts"
import { internalCaller } from "../src/platform/auth/caller.ts"
import { type Ctx, makeCtx, type Platform } from "../src/platform/context/context.ts"
import { newRequestId, newUuid } from "../src/platform/ids/ids.ts"
import { nano, type ServerCloud } from "./server-cloud.ts"

// biome-ignore lint/suspicious/noExplicitAny: parameters of sagas of every kind
type Params = any

export interface Arranged {
  params: Params
  assertDone: () => Promise<void>
  assertUnwound: (failedStep: string) => Promise<void>
}

export interface SagaCaseEntry {
  arrange: (c: ServerCloud) => Promise<Arranged>
  pointOfNoReturn?: string
}

export function contextOf(platform: Platform, caller: Ctx["caller"]): Ctx {
  return makeCtx(platform, caller, newRequestId(), "http://127.0.0.1")
}

/** A caller's context; `started` has the parameters of what it would have started. */
function capturing(platform: Platform, caller: Ctx["caller"]): { ctx: Ctx; started: Params[] } {
  const started: Params[] = []
  const keep = async (params: unknown) => {
    started.push(JSON.parse(JSON.stringify(params)))
    return newUuid()
  }
  const sagas: Platform["sagas"] = {
    start: (_tx, _saga, params) => keep(params),
    waitForSaga: async () => ({ state: "done", failure: null }),
    wake: async () => {},
    startMany: async (_tx, _saga, orders) => await Promise.all(orders.map((order) => keep(order.params))),
  }
  const quiet = Object.assign(Object.create(platform) as Platform, { sagas })
  return { ctx: contextOf(quiet, caller), started }
}

/** A context whose sagas run; `settled` waits for those that it began. */
export function running(
  platform: Platform,
  caller: Ctx["caller"],
): { ctx: Ctx; settled: () => Promise<void> } {
  const runner = platform.sagas as SagaRunner
  const begun: string[] = []
  const sagas: Platform["sagas"] = {
    start: async (tx, saga, params, how) => {
      const id = await runner.start(tx, saga, params, how)
      begun.push(id)
      return id
    },
    waitForSaga: (db, id, timeoutMs) => runner.waitForSaga(db, id, timeoutMs),
    wake: (db) => runner.wake(db),
    startMany: async (tx, saga, orders) => {
      const ids = await runner.startMany(tx, saga, orders)
      begun.push(...ids)
      return ids
    },
  }
  const noting = Object.assign(Object.create(platform) as Platform, { sagas })
  return {
    ctx: contextOf(noting, caller),
    settled: async () => {
      for (const id of begun.splice(0)) await runner.waitForSaga(platform.db, id)
    },
  }
}

interface Holdings {
  status: string
  /** Memory that the server holds at placement, and its migration. */
  room: number[]
  /** The host that each port is bound to. */
  ports: string[]
  machine: string
}

async function holdingsOf(c: ServerCloud, serverId: string): Promise<Holdings> {
  const { db } = c.cloud.database
  const held = await sql<{ used: number }>`
    select used from placement.allocation where resource_class = 'MEMORY_MB'
      and consumer_id in (${serverId}::uuid, ${migrationConsumerOf(serverId)}::uuid)
    order by consumer_id = ${serverId}::uuid desc`.execute(db)
  const ports = await sql<{ host: string }>`
    select host_id as host from network.port where device_id = ${serverId}`.execute(db)
  const machines = await c.cloud.cloud.agent.agent.handle("vm.list", {})
  const server = await selectServer(db, serverId)
  assert.equal(server?.taskState ?? null, null, "no task is left")
  return {
    status: server ? compute.statusOf(server.vmState, server.taskState) : "gone",
    room: held.rows.map((row) => row.used),
    ports: ports.rows.map((row) => row.host),
    machine: machines.find((machine) => machine.serverId === serverId)?.state.power ?? "none",
  }
}

const nanoRam = 128
const microRam = 192
const micro = "84"
const active: Holdings = { status: "ACTIVE", room: [nanoRam], ports: ["host1"], machine: "running" }
const shut: Holdings = { ...active, status: "SHUTOFF", machine: "shutdown" }
const nothing: Holdings = { status: "gone", room: [], ports: [], machine: "none" }

interface ServerCase {
  /** Brings an active server to where the operation may be called. */
  before?: (ctx: Ctx, server: Server) => Promise<unknown>
  begin: (ctx: Ctx, server: Server) => Promise<unknown>
  done: Partial<Holdings>
  unwound: Partial<Holdings> | ((failedStep: string) => Partial<Holdings>)
  /** `failedStep`: null when it went through. */
  check?: (c: ServerCloud, params: Params, failedStep: string | null) => Promise<void>
  pointOfNoReturn?: string
}

/** Who `demo` is, with all that an administrator may. */
export async function callerOf(c: ServerCloud): Promise<Ctx["caller"]> {
  const { body } = await c.cloud.request("GET", "/identity/v3/auth/tokens", {
    token: c.admin,
    headers: { "x-subject-token": c.demo },
  })
  const { user, project } = body.token
  return {
    ...internalCaller,
    systemScope: null,
    userId: user.id,
    userName: user.name,
    projectId: project.id,
    projectName: project.name,
    roles: ["admin", "member", "reader"],
  }
}

export function serverWish(c: Pick<ServerCloud, "imageId">): compute.CreateServersInput {
  return {
    ...{ name: "vm", description: null, hostname: null, imageId: c.imageId, flavorId: nano, metadata: {} },
    ...{ keyName: null, userData: null, hasConfigDrive: false, hasAutoDiskConfig: false },
    ...{ securityGroups: null, networks: "auto", availabilityZone: null, requestedHost: null },
    ...{ schedulerHints: {}, blockDevices: [], tags: [], trustedImageCertificates: null },
    ...{ accessIpV4: null, accessIpV6: null, minCount: 1, maxCount: 1 },
  }
}

function ofServer(each: ServerCase): SagaCaseEntry {
  return {
    ...(each.pointOfNoReturn === undefined ? {} : { pointOfNoReturn: each.pointOfNoReturn }),
    arrange: async (c) => {
      const { platform } = c.cloud.cloud
      const caller = await callerOf(c)
      const { ctx, settled } = running(platform, caller)
      const [made] = await compute.createServers(ctx, serverWish(c))
      assert.ok(made)
      await settled()
      const fresh = async () => (await selectServer(platform.db, made.id)) ?? assert.fail("no server")
      await each.before?.(ctx, await fresh())
      await settled()
      const { ctx: quiet, started } = capturing(platform, caller)
      await each.begin(quiet, await fresh())
      assert.equal(started.length, 1, "the operation starts its saga")
      const check = async (failedStep: string | null) => {
        const { done, unwound } = each
        const afterFailure = typeof unwound === "function" ? unwound(failedStep ?? "") : unwound
        const expected = failedStep === null ? done : afterFailure
        const found = await holdingsOf(c, made.id)
        const seen = Object.fromEntries(
          Object.keys(expected).map((key) => [key, found[key as keyof Holdings]]),
        )
        assert.deepEqual(seen, expected)
        await each.check?.(c, started[0], failedStep)
        if (found.status === "gone") return
        await compute.deleteServer(ctx, { serverId: made.id })
        await settled()
        assert.deepEqual(await holdingsOf(c, made.id), nothing, "a delete finds all that is left")
      }
      return { params: started[0], assertDone: () => check(null), assertUnwound: check }
    },
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

const statusOfImage = async (c: ServerCloud, id: string) =>
  (await c.cloud.request("GET", `/image/v2/images/${id}`, { token: c.admin })).body.status

/** The image of a saga that makes one: gone when one of these steps failed, else there with its data. */
const imageUnless =
  (steps: readonly string[]) => async (c: ServerCloud, params: Params, failed: string | null) =>
    assert.equal(await statusOfImage(c, params.imageId), steps.includes(failed ?? "") ? undefined : "active")

const id = (server: Server) => ({ serverId: server.id })
const shelved: Holdings = { status: "SHELVED_OFFLOADED", room: [], ports: [""], machine: "none" }
const fixedImage = { name: "snap", metadata: {} }

const importCase: SagaCaseEntry = {
  pointOfNoReturn: "activate",
  arrange: async (c) => {
    const { platform } = c.cloud.cloud
    const caller = await callerOf(c)
    const made = await c.cloud.request("POST", "/image/v2/images", {
      token: c.demo,
      body: { name: "i", disk_format: "raw", container_format: "bare" },
    })
    const imageId: string = made.body.id
    const staged = await fetch(`${c.cloud.baseUrl}/image/v2/images/${imageId}/stage`, {
      method: "PUT",
      headers: { "x-auth-token": c.demo, "content-type": "application/octet-stream" },
      body: "staged data",
    })
    assert.equal(staged.status, 204)
    const { ctx, started } = capturing(platform, caller)
    const task = await importImage(ctx, {
      imageId,
      method: { name: "glance-direct" },
      stores: [],
      request: {},
    })
    const check = async (image: object, status: string) => {
      const row = await platform.db
        .selectFrom("image.image")
        .select(["status", "size_bytes", "staged_file"])
        .where("id", "=", imageId)
        .executeTakeFirst()
      assert.deepEqual(row, { ...image, staged_file: null })
      const ended = await platform.db
        .selectFrom("image.task")
        .select("status")
        .where("id", "=", task.id)
        .executeTakeFirst()
      assert.equal(ended?.status, status)
    }
    return {
      params: started[0],
      assertDone: () => check({ status: "active", size_bytes: 11 }, "success"),
      assertUnwound: () => check({ status: "queued", size_bytes: null }, "failure"),
    }
  },
}

export const sagaCases: Readonly<Record<string, SagaCaseEntry>> = {
  "image.image.import": importCase,
  "compute.server.create": createCase,
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
  "compute.server.shelve": ofServer({
    begin: (ctx, server) => compute.shelveServer(ctx, id(server)),
    done: shelved,
    unwound: (step) => (step === "snapshot" ? active : { status: "SHELVED" }),
    check: imageUnless(["snapshot"]),
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
