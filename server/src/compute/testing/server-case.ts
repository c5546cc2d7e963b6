// A case of a saga of a server: what the server holds before, at the saga's end and after its unwinding.
import assert from "node:assert/strict"
import { sql } from "kysely"
import { callerOf, capturing, running, type SagaCaseEntry, type SagaParams } from "../../../test/saga-case.ts"
import { nano, type ServerCloud } from "../../../test/server-cloud.ts"
import type { Ctx } from "../../platform/context/context.ts"
import * as compute from "../index.ts"
import { migrationConsumerOf } from "../server/delete.saga.ts"
import type { Server } from "../server/server.ts"
import { selectServer } from "../server/store.ts"

export interface Holdings {
  status: string
  /** Memory that the server holds at placement, and its migration. */
  room: number[]
  /** The host that each port is bound to. */
  ports: string[]
  machine: string
}

export async function holdingsOf(c: ServerCloud, serverId: string): Promise<Holdings> {
  const { db } = c.cloud.database
  const held = await sql<{ used: number }>`
    select used from placement.allocation where resource_class = 'MEMORY_MB'
      and consumer_id in (${serverId}::uuid, ${migrationConsumerOf(serverId)}::uuid)
    order by consumer_id = ${serverId}::uuid desc`.execute(db)
  const ports = await sql<{ host: string }>`
    select host_id as host from network.port where device_id = ${serverId}`.execute(db)
  const server = await selectServer(db, serverId)
  assert.equal(server?.taskState ?? null, null, "no task is left")
  return {
    status: server ? compute.statusOf(server.vmState, server.taskState) : "gone",
    room: held.rows.map((row) => row.used),
    ports: ports.rows.map((row) => row.host),
    ...(await machineOf(c, serverId)),
  }
}

/** On the host that all servers are made on. */
export async function machineOf(c: ServerCloud, serverId: string): Promise<Pick<Holdings, "machine">> {
  const machines = await c.cloud.cloud.agent.agent.handle("vm.list", {})
  return { machine: machines.find((machine) => machine.serverId === serverId)?.state.power ?? "none" }
}

export const nanoRam = 128
export const microRam = 192
export const micro = "84"
export const active: Holdings = { status: "ACTIVE", room: [nanoRam], ports: ["host1"], machine: "running" }
export const shut: Holdings = { ...active, status: "SHUTOFF", machine: "shutdown" }
export const nothing: Holdings = { status: "gone", room: [], ports: [], machine: "none" }

export interface ServerCase {
  /** Brings an active server to where the operation may be called. */
  before?: (ctx: Ctx, server: Server, settled: () => Promise<void>) => Promise<unknown>
  begin: (ctx: Ctx, server: Server) => Promise<unknown>
  done: Partial<Holdings>
  unwound: Partial<Holdings> | ((failedStep: string) => Partial<Holdings>)
  /** Starts its saga otherwise: what the operation has started, by the parameters of that. */
  startedBy?: (c: ServerCloud, params: SagaParams) => Promise<SagaParams>
  /** Until what it has started itself is over. */
  settles?: (c: ServerCloud, params: SagaParams) => Promise<void>
  /** `failedStep`: null when it went through. */
  check?: (c: ServerCloud, params: SagaParams, failedStep: string | null) => Promise<void>
  pointOfNoReturn?: string
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

/** Deleted servers are kept for so long. */
export function ofServer(each: ServerCase): SagaCaseEntry {
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
      await each.before?.(ctx, await fresh(), settled)
      await settled()
      const { ctx: quiet, started } = capturing(platform, caller)
      await each.begin(quiet, await fresh())
      assert.equal(started.length, 1, "the operation starts its saga")
      const params = (await each.startedBy?.(c, started[0])) ?? started[0]
      const check = async (failedStep: string | null) => {
        const { done, unwound } = each
        const afterFailure = typeof unwound === "function" ? unwound(failedStep ?? "") : unwound
        const expected = failedStep === null ? done : afterFailure
        if (failedStep === null) await each.settles?.(c, params)
        const found = await holdingsOf(c, made.id)
        const seen = Object.fromEntries(
          Object.keys(expected).map((key) => [key, found[key as keyof Holdings]]),
        )
        assert.deepEqual(seen, expected)
        await each.check?.(c, params, failedStep)
        if (found.status === "gone") return
        await compute.deleteServer(ctx, { serverId: made.id })
        await settled()
        assert.deepEqual(await holdingsOf(c, made.id), nothing, "a delete finds all that is left")
      }
      return { params, assertDone: () => check(null), assertUnwound: check }
    },
  }
}
