// The sagas of servers are run at least once and undone at least once: every step twice must be as good as once.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { createServerSaga } from "../src/compute/server/create.saga.ts"
import { deleteServerSaga } from "../src/compute/server/delete.saga.ts"
import { stopServerSaga } from "../src/compute/server/power.saga.ts"
import { rebuildServerSaga } from "../src/compute/server/rebuild.saga.ts"
import type { Server } from "../src/compute/server/server.ts"
import { type ActionName, actionRules } from "../src/compute/server/state.ts"
import { claimTask, insertServers, selectServer } from "../src/compute/server/store.ts"
import { newServer } from "../src/compute/testing/new-server.ts"
import { stepResult } from "../src/engine/saga/harness.ts"
import { type AnyStep, type Saga, type StepContext, WithLog } from "../src/engine/saga/saga.ts"
import { LeaseLost, stepContext } from "../src/engine/saga/step-context.ts"
import { planServerPorts } from "../src/network/index.ts"
import { internalCtx } from "../src/platform/context/context.ts"
import { transact } from "../src/platform/db/database.ts"
import { newRequestId, newUuid } from "../src/platform/ids/ids.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
let template: Server
before(async () => {
  // Each test leaves what it made.
  c = await startServerCloud({
    overrides: { "compute.quota.instances": -1, "compute.quota.cores": -1, "compute.quota.ram": -1 },
  })
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const found = await selectServer(c.cloud.database.db, id)
  assert.ok(found)
  template = found
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})
after(async () => {
  await c[Symbol.asyncDispose]()
})

/** A server that only its row knows of: no saga runs for it. */
async function insertOne(): Promise<Server> {
  const { projectId, userId, imageId, flavor, systemMetadata } = template
  const ctx = internalCtx(c.cloud.cloud.platform)
  const wish = { projectId, networks: "auto", securityGroups: [] } as const
  const requestedNetworks = await planServerPorts(ctx, wish)
  const row = newServer({ projectId, userId, imageId, flavor, systemMetadata, requestedNetworks })
  const [server] = await transact(c.cloud.database.db, (tx) => insertServers(tx, [row]))
  assert.ok(server)
  return server
}

async function claim(serverId: string, action: ActionName): Promise<Server> {
  const claimed = await transact(c.cloud.database.db, (tx) =>
    claimTask(tx, serverId, actionRules[action], true),
  )
  assert.ok(claimed)
  return claimed
}

const paramsOf = (server: Server) => ({
  serverId: server.id,
  generation: server.generation,
  requestId: newRequestId(),
  userId: server.userId,
  projectId: server.projectId,
})

function contextOf<P>(params: P, out: Record<string, unknown>): StepContext<P, Record<string, unknown>> {
  return {
    ctx: internalCtx(c.cloud.cloud.platform),
    params,
    out,
    sagaId: newUuid(),
    fence: 1,
    signal: new AbortController().signal,
    log: silentLogger,
    transact: (run) => transact(c.cloud.cloud.platform.db, run),
  }
}

/** Rows that the saga's log would commit with are committed. */
async function doStep<P>(step: AnyStep | undefined, context: StepContext<P, Record<string, unknown>>) {
  return await stepResult(context, await step?.definition.do(context))
}

async function undoStep<P>(step: AnyStep, context: StepContext<P, Record<string, unknown>>) {
  await stepResult(context, await step.definition.undo?.(context))
}

/** Runs the first `count` steps, each twice; the last one of a saga ends its task, after which it holds nothing. */
async function runTwice<P>(saga: Saga<P>, params: P, count = saga.steps.length) {
  const out: Record<string, unknown> = {}
  for (const step of saga.steps.slice(0, count)) {
    for (let time = 0; time < 2; time++)
      out[step.name] = JSON.parse(JSON.stringify((await doStep(step, contextOf(params, out))) ?? null))
  }
  return out
}

async function holdings(serverId: string) {
  const { db } = c.cloud.database
  const allocations = await sql`select from placement.allocation where consumer_id = ${serverId}`.execute(db)
  const ports = await sql`select from network.port where device_id = ${serverId}`.execute(db)
  const machines = (await c.cloud.cloud.agent.agent.handle("vm.list", {})).filter(
    (machine) => machine.serverId === serverId,
  )
  return [allocations.rows.length, ports.rows.length, machines.length]
}

test("creation: every step twice makes one machine with one port and one claim", async () => {
  const server = await insertOne()
  const params = { ...paramsOf(server), forcedHost: null, attempt: 1, excludedHosts: [] }
  await runTwice(createServerSaga, params)
  assert.deepEqual(await holdings(server.id), [3, 1, 1])
  assert.equal((await selectServer(c.cloud.database.db, server.id))?.vmState, "active")
})

test("creation: networks as earlier programs kept them are understood", async () => {
  const { db } = c.cloud.database
  const named = await sql<{
    id: string
  }>`select id from network.network where project_id = ${template.projectId}`
    .execute(db)
    .then(({ rows }) => [{ networkId: rows[0]?.id, portId: null, fixedIp: null, tag: null }])
  for (const [kept, ports] of [
    ["auto", 1],
    [null, 1],
    [named, 1],
    ["none", 0],
  ] as const) {
    const server = await insertOne()
    const params = { ...paramsOf(server), forcedHost: null, attempt: 1, excludedHosts: [] }
    const column = kept === null ? null : JSON.stringify(kept)
    await sql`update compute.server set requested_networks = ${column}::jsonb where id = ${server.id}`.execute(
      db,
    )
    const out = await runTwice(createServerSaga, params)
    assert.deepEqual(await holdings(server.id), [3, ports, 1], JSON.stringify(kept))
    for (const step of createServerSaga.steps.toReversed()) await undoStep(step, contextOf(params, out))
  }
})

test("creation: undone twice from any step it leaves nothing", async () => {
  for (let count = 1; count <= createServerSaga.steps.length; count++) {
    const server = await insertOne()
    const params = { ...paramsOf(server), forcedHost: null, attempt: 1, excludedHosts: [] }
    const out = await runTwice(createServerSaga, params, count)
    for (const step of createServerSaga.steps.slice(0, count).toReversed())
      for (let time = 0; time < 2; time++) await undoStep(step, contextOf(params, out))
    assert.deepEqual(await holdings(server.id), [0, 0, 0], `after ${count} steps`)
  }
})

test("creation: an undo finds nothing there when its step never ran", async () => {
  const server = await insertOne()
  const params = { ...paramsOf(server), forcedHost: null, attempt: 1, excludedHosts: [] }
  for (const step of createServerSaga.steps.toReversed()) await undoStep(step, contextOf(params, {}))
  assert.deepEqual(await holdings(server.id), [0, 0, 0])
})

test("stop, rebuild and delete: every step twice", async () => {
  const made = await insertOne()
  const params = { ...paramsOf(made), forcedHost: null, attempt: 1, excludedHosts: [] }
  await runTwice(createServerSaga, params)
  const stop = await claim(made.id, "stop")
  await runTwice(stopServerSaga, paramsOf(stop))
  assert.equal((await selectServer(c.cloud.database.db, made.id))?.vmState, "stopped")
  const rebuild = await claim(made.id, "rebuild")
  await runTwice(rebuildServerSaga, { ...paramsOf(rebuild), isStopped: true })
  assert.equal((await selectServer(c.cloud.database.db, made.id))?.vmState, "stopped")
  assert.deepEqual(await holdings(made.id), [3, 1, 1])
  const gone = await claim(made.id, "delete")
  const [destroy, release] = deleteServerSaga.steps
  const deleting = { ...paramsOf(gone), hosts: ["host1"] }
  for (let time = 0; time < 2; time++) await doStep(destroy, contextOf(deleting, {}))
  await doStep(release, contextOf(deleting, {}))
  assert.deepEqual(await holdings(made.id), [0, 0, 0])
  assert.equal(await selectServer(c.cloud.database.db, made.id), undefined)
  // The row is deleted by now: run again, the step sees that it has ended and fails nothing.
  await doStep(release, contextOf(deleting, {}))
})

test("a step that is run again after its task ended and another began takes nothing away", async () => {
  const server = await insertOne()
  const params = { ...paramsOf(server), forcedHost: null, attempt: 1, excludedHosts: [] }
  const out = await runTwice(createServerSaga, params)
  await claim(server.id, "stop")
  await doStep(createServerSaga.steps.at(-1), contextOf(params, out))
  assert.deepEqual(await holdings(server.id), [3, 1, 1])
})

test("the undos of an earlier attempt, after another worker has taken its saga, take nothing from the next one", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const { platform } = c.cloud.cloud
  const server = await selectServer(platform.db, id)
  assert.ok(server)
  const earlier = { ...paramsOf(server), generation: server.generation - 2 }
  const params = { ...earlier, forcedHost: null, attempt: 1, excludedHosts: [] }
  // A saga that this test owns by its first fence, until another worker has it by the second.
  const sagaId = newUuid()
  await sql`
    insert into engine.saga (id, name, version, params, state, request_id, fence, owner, lease_until)
    values (${sagaId}, ${createServerSaga.name}, 1, '{}', 'unwinding', 'r', 2, 'another', now() + interval '1 h')
  `.execute(platform.db)
  const before = await holdings(id)
  const signal = new AbortController().signal
  for (const { definition } of createServerSaga.steps.toReversed()) {
    const parts = { sagaId, fence: 1, requestId: "r", params, out: {}, signal, log: silentLogger }
    // What is not refused here had nothing to do.
    const undone = await Promise.resolve(definition.undo?.(stepContext(platform, parts))).catch(
      (e: unknown) => e,
    )
    assert.ok(
      undone === undefined || undone instanceof WithLog || undone instanceof LeaseLost,
      String(undone),
    )
  }
  assert.deepEqual(await holdings(id), before)
  assert.notDeepEqual(before, [0, 0, 0])
  await sql`delete from engine.saga where id = ${sagaId}`.execute(platform.db)
})
