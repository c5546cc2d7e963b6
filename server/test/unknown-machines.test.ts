// Machines that the database does not account for: nothing of them is lost, and operators decide.
import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { reconcileMachines } from "../src/compute/host/machines.reconciler.ts"
import { readInjectedFiles } from "../src/compute/server/injected-file.ts"
import { applyPower } from "../src/compute/server/power-sync.ts"
import { selectServer } from "../src/compute/server/store.ts"
import { answerHost, type HostAnswer, type ShownFinding } from "../src/launch/host-answer.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { disksOf, makeVolume, volumeIs } from "./volume-cloud.ts"

const reconcile = (c: ServerCloud) => reconcileMachines(c.cloud.cloud.platform, new AbortController().signal)
const machinesOf = async (c: ServerCloud) =>
  (await c.cloud.cloud.agent.agent.handle("vm.list", {})).map((machine) => machine.serverId).sort()

async function ask<K extends string>(c: ServerCloud, question: Record<string, unknown>, key: K) {
  const answer = await answerHost(c.cloud.cloud, question)
  assert.ok(key in answer, JSON.stringify(answer))
  // As the line above says.
  return (answer as Extract<HostAnswer, Record<K, unknown>>)[key]
}

async function unknownOf(c: ServerCloud): Promise<ShownFinding[]> {
  const hosts = await ask(c, { action: "unknown", host: null }, "hosts")
  assert.deepEqual(
    hosts.map(({ host, error }) => [host, error]),
    [["host1", null]],
  )
  return hosts.flatMap(({ findings }) => findings)
}

async function makeActive(c: ServerCloud, count: number, attributes = {}): Promise<string[]> {
  const ids = await Promise.all(Array.from({ length: count }, () => c.create(attributes)))
  for (const id of ids) await c.reaches(id, "ACTIVE")
  return ids
}

const forget = (c: ServerCloud, ids: readonly string[]) =>
  sql`delete from compute.server where id = any(${ids}::uuid[])`.execute(c.cloud.database.db)

test("a machine that no row knows is set aside, listed, and becomes a server again with its disks", async () => {
  await using c = await startServerCloud()
  const userData = Buffer.from("#!/bin/sh\ntrue\n").toString("base64")
  const attributes = { name: "precious", user_data: userData, config_drive: true, metadata: { a: "b" } }
  const personality = [{ path: "/etc/motd", contents: userData }]
  const lost = await c.create({ ...attributes, personality }, { version: "2.56" })
  await c.reaches(lost, "ACTIVE")
  const [known = ""] = await makeActive(c, 1)
  const before = await c.show(lost, { token: c.admin })
  await forget(c, [lost])
  const status = await reconcile(c)
  assert.deepEqual([status.setAside, status.destroyed, status.alarms], [1, 0, []])
  assert.deepEqual(await machinesOf(c), [known])
  const asideNote = async () =>
    (await c.cloud.cloud.services()).find(({ name }) => name === "machines set aside")?.note
  assert.equal(await asideNote(), "1 on host1: ./kumoi host unknown")
  const [found] = await unknownOf(c)
  assert.deepEqual(
    [found?.kind, found?.id, found?.name, found?.power, found?.projectId],
    ["aside", lost, "precious", "running", before.tenant_id],
  )
  const adopted = await ask(c, { action: "adopt", id: lost, project: null }, "adopted")
  assert.deepEqual([adopted.id, adopted.status, adopted.portsMissing], [lost, "stopped", 0])
  const after = await c.show(lost)
  assert.deepEqual(
    [after.status, after.name, after.metadata, after.image.id, after.flavor.vcpus, after.flavor.disk],
    ["SHUTOFF", "precious", { a: "b" }, before.image.id, before.flavor.vcpus, before.flavor.disk],
  )
  assert.deepEqual(after.addresses, before.addresses)
  assert.equal((await c.show(lost, { token: c.admin }))["OS-EXT-SRV-ATTR:user_data"], userData)
  assert.deepEqual(await readInjectedFiles(c.cloud.database.db, lost), personality)
  assert.equal((await c.act(lost, { "os-start": null })).status, 202)
  await c.reaches(lost, "ACTIVE")
  assert.deepEqual(await unknownOf(c), [])
  assert.equal(await asideNote(), undefined)
  assert.equal((await c.call("DELETE", `/servers/${lost}`)).status, 204)
  await c.isGone(lost)
  assert.deepEqual(await machinesOf(c), [known])
})

test("an adopted machine has its volumes again, unless somebody else has one meanwhile", async () => {
  await using c = await startServerCloud()
  const ctx = contextOf(c.cloud.cloud.platform, await callerOf(c))
  const ids = await makeActive(c, 2)
  const volumes = await Promise.all(ids.map(() => makeVolume(c, ctx)))
  for (const [index, id] of ids.entries()) {
    const volumeAttachment = { volumeId: volumes[index] }
    const reply = await c.call("POST", `/servers/${id}/os-volume_attachments`, { volumeAttachment })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    await volumeIs(c, volumes[index] ?? "", "in-use")
  }
  const [lost = "", robbed = ""] = ids
  await forget(c, ids)
  const adopted = await ask(c, { action: "adopt", id: lost, project: null }, "adopted")
  assert.equal(adopted.id, lost)
  const { body } = await c.call("GET", `/servers/${lost}/os-volume_attachments`)
  assert.deepEqual(
    body.volumeAttachments.map((each: { volumeId: string }) => each.volumeId),
    [volumes[0]],
  )
  assert.equal((await volumeIs(c, volumes[0] ?? "", "in-use")).attachments[0]?.serverId, lost)
  await c.act(lost, { reboot: { type: "HARD" } })
  await c.reaches(lost, "ACTIVE")
  assert.deepEqual(await disksOf(c, lost), ["root", volumes[0]])
  await sql`update block_storage.attachment set server_id = ${lost} where volume_id = ${volumes[1]}`.execute(
    c.cloud.database.db,
  )
  await assert.rejects(
    answerHost(c.cloud.cloud, { action: "adopt", id: robbed, project: null }),
    /has a volume that cannot be its server's/,
  )
})

test("a server whose machine did not start again with its host is in error, and a hard reboot mends it", async () => {
  await using c = await startServerCloud()
  const { platform } = c.cloud.cloud
  const [id = ""] = await makeActive(c, 1)
  const tell = async (power: "shutdown" | "running", cannotStart?: string) => {
    const server = await selectServer(platform.db, id)
    assert.ok(server)
    return await applyPower(platform, server, cannotStart === undefined ? { power } : { power, cannotStart })
  }
  assert.equal(await tell("shutdown", "no bridge"), true)
  const { status, fault } = await c.show(id, { token: c.admin })
  assert.equal(status, "ERROR")
  assert.match(fault.message, /could not be started again with its host/)
  assert.match(fault.details, /no bridge/)
  // It is told of at every look.
  assert.equal(await tell("shutdown", "no bridge"), false)
  assert.equal(await tell("shutdown"), false)
  assert.equal((await c.act(id, { reboot: { type: "HARD" } })).status, 202)
  await c.reaches(id, "ACTIVE")
  assert.equal((await c.show(id)).fault, undefined)
  await tell("shutdown", "no bridge")
  assert.equal(await tell("running"), true, "found running after all")
  assert.equal((await c.show(id)).status, "ACTIVE")
})

test("a database without rows takes nothing away, and says so", async () => {
  await using c = await startServerCloud()
  const ids = await makeActive(c, 4)
  await forget(c, ids)
  for (let pass = 0; pass < 2; pass++) {
    const status = await reconcile(c)
    assert.deepEqual([status.setAside, status.destroyed, status.held], [0, 0, 4])
    assert.match(status.alarms.join(), /Host host1: 4 of 4 machines have no server.*kumoi host unknown/)
  }
  assert.deepEqual(await machinesOf(c), [...ids].sort())
  const found = await unknownOf(c)
  assert.deepEqual([...new Set(found.map((each) => `${each.kind} ${each.power}`))], ["unknown running"])
  // Adopted where it is, a guest runs on.
  const [kept = "", ...others] = ids
  const adopted = await ask(c, { action: "adopt", id: kept, project: null }, "adopted")
  assert.equal(adopted.status, "active")
  for (const id of others) await ask(c, { action: "discard", id }, "discarded")
  assert.deepEqual(await machinesOf(c), [kept])
  assert.deepEqual((await reconcile(c)).alarms, [])
  await assert.rejects(answerHost(c.cloud.cloud, { action: "discard", id: kept }), /unknown/)
})

test("a server whose machine is gone is in error, is not made anew, and is as before when it is back", async () => {
  await using c = await startServerCloud()
  const [id = "", other = ""] = await makeActive(c, 2)
  const { agent } = c.cloud.cloud.agent
  const { entry } = await agent.handle("vm.set_aside", { serverId: id, why: "a test", fence: null })
  await reconcile(c)
  const shown = await c.reaches(id, "ERROR")
  assert.match(shown.fault.message, /machine of this server is not on its host/)
  assert.equal((await c.act(id, { "os-start": null })).status, 409)
  assert.deepEqual(await machinesOf(c), [other])
  assert.deepEqual((await unknownOf(c)).map((each) => each.kind).sort(), ["aside", "missing"])
  const adopted = await ask(c, { action: "adopt", id: entry, project: null }, "adopted")
  assert.equal(adopted.status, "stopped")
  await c.act(id, { "os-start": null })
  await c.reaches(id, "ACTIVE")
})

test("a machine cannot be adopted without a project that is there, nor over a living server", async () => {
  await using c = await startServerCloud()
  const [lost = "", known = ""] = await makeActive(c, 2)
  await forget(c, [lost])
  await reconcile(c)
  const nobody = "0".repeat(32)
  await assert.rejects(
    answerHost(c.cloud.cloud, { action: "adopt", id: lost, project: nobody }),
    /no project/,
  )
  await assert.rejects(answerHost(c.cloud.cloud, { action: "adopt", id: known, project: null }), /No machine/)
  await assert.rejects(answerHost(c.cloud.cloud, { action: "nothing" }), /no question/)
  await assert.rejects(answerHost(c.cloud.cloud, { action: "unknown", host: "other" }), /could not be found/)
})
