// Quotas, limits, aggregates, server groups and usage over HTTP, with words for tokens.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { sql } from "kysely"
import { insertServers } from "../src/compute/server/store.ts"
import { joinServerGroup, usableServerGroup } from "../src/compute/server-group/join.ts"
import { selectGroupPlacement } from "../src/compute/server-group/store.ts"
import { computeService } from "../src/compute/service.ts"
import { newServer } from "../src/compute/testing/new-server.ts"
import { transact } from "../src/platform/db/database.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
before(async () => {
  cloud = await startServices({ services: [computeService] })
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
})

const admin = "ops:admin"

async function call(method: string, path: string, as: string, body?: unknown, version?: string) {
  return await cloud.request(method, `/compute/v2.1${path}`, {
    as,
    ...(body === undefined ? {} : { body }),
    headers: version ? { "openstack-api-version": `compute ${version}` } : {},
  })
}

async function addProject(id: string): Promise<void> {
  await sql`insert into identity.project (id, name, is_domain) values (${id}, ${id}, true)
    on conflict do nothing`.execute(cloud.platform.db)
}

async function addHost(name: string): Promise<void> {
  await sql`insert into compute.host (name, id, service_id, description, last_seen_at)
    values (${name}, ${newUuid()}, ${newUuid()}, '{}', now())`.execute(cloud.platform.db)
}

interface Ran {
  project: string
  host?: string
  launched?: string
  ended?: string
  group?: string
}

async function addServer({ project, host, launched, ended, group }: Ran): Promise<string> {
  const server = newServer({ projectId: project, userId: `user-of-${project}`, serverGroupId: group ?? null })
  await transact(cloud.platform.db, (tx) => insertServers(tx, [server]))
  await sql`update compute.server set vm_state = 'active', task_state = null, host = ${host ?? null},
    launched_at = ${launched ?? null}, terminated_at = ${ended ?? null}, deleted_at = ${ended ?? null}
    where id = ${server.id}`.execute(cloud.platform.db)
  return server.id
}

describe("quotas", () => {
  test("defaults, limits of a project, and back", async () => {
    await addProject("q1")
    const path = "/os-quota-sets/q1"
    const before = (await call("GET", path, admin)).body.quota_set
    assert.equal(before.cores, 20)
    assert.equal(before.floating_ips, -1)
    assert.equal(before.id, "q1")
    const changed = await call("PUT", path, admin, { quota_set: { cores: "7", ram: 9000 } })
    assert.equal(changed.body.quota_set.cores, 7)
    assert.equal("id" in changed.body.quota_set, false)
    assert.equal((await call("GET", path, "q1")).body.quota_set.ram, 9000)
    assert.equal((await call("GET", `${path}/defaults`, "q1")).body.quota_set.ram, 51_200)
    assert.equal((await call("DELETE", path, admin)).status, 202)
    assert.deepEqual((await call("GET", path, admin)).body.quota_set, before)
  })

  test("are for the project itself and for administrators", async () => {
    await addProject("q2")
    assert.equal((await call("GET", "/os-quota-sets/q2", "p1")).status, 403)
    assert.equal((await call("PUT", "/os-quota-sets/q2", "q2", { quota_set: { cores: 1 } })).status, 403)
    assert.equal((await call("GET", "/os-quota-sets/nobody", admin)).status, 400)
  })

  test("a limit below what is used needs force", async () => {
    await addProject("q3")
    await addServer({ project: "q3" })
    const path = "/os-quota-sets/q3"
    const refused = await call("PUT", path, admin, { quota_set: { cores: 1 } })
    assert.equal(refused.status, 400)
    assert.match(refused.body.badRequest.message, /cores must be greater than or equal to already used.* 2/)
    const forced = await call("PUT", path, admin, { quota_set: { cores: 1, force: "True" } })
    assert.equal(forced.body.quota_set.cores, 1)
    const detail = (await call("GET", `${path}/detail`, "q3")).body.quota_set
    assert.deepEqual(detail.cores, { limit: 1, in_use: 2, reserved: 0 })
    assert.deepEqual(detail.ram, { limit: 51_200, in_use: 512, reserved: 0 })
    const ofUser = await call("GET", `${path}/detail?user_id=nobody`, admin)
    assert.equal(ofUser.body.quota_set.instances.in_use, 0)
  })

  test("what is taken and shown depends on the version", async () => {
    const path = "/os-quota-sets/ops"
    const body = { quota_set: { floating_ips: 3 } }
    assert.equal((await call("PUT", path, admin, body, "2.36")).status, 400)
    assert.equal((await call("PUT", path, admin, body, "2.35")).body.quota_set.floating_ips, 3)
    const shown = Object.keys((await call("GET", path, admin, undefined, "2.57")).body.quota_set).sort()
    assert.deepEqual(shown, [
      "cores",
      "id",
      "instances",
      "key_pairs",
      "metadata_items",
      "ram",
      "server_group_members",
      "server_groups",
    ])
    for (const value of [-2, "-2", 2_147_483_648, "x", ""])
      assert.equal((await call("PUT", path, admin, { quota_set: { ram: value } })).status, 400, `${value}`)
  })

  test("a user may have limits of its own within the project's", async () => {
    await addProject("q4")
    const path = "/os-quota-sets/q4"
    const set = (query: string, limits: Record<string, unknown>) =>
      call("PUT", `${path}${query}`, admin, { quota_set: limits })
    const ofUser = "?user_id=user-of-q4"
    assert.equal((await set(ofUser, { server_groups: 1, cores: 5 })).body.quota_set.cores, 5)
    assert.equal((await call("GET", `${path}${ofUser}`, admin)).body.quota_set.server_groups, 1)
    assert.equal((await call("GET", path, admin)).body.quota_set.server_groups, 10)
    assert.equal((await set(ofUser, { cores: 21 })).status, 400)
    assert.equal((await set("?user_id=other", { cores: 16 })).status, 400)
    assert.equal((await set("", { cores: 4 })).status, 400)
    const group = { server_group: { name: "g", policies: ["affinity"] } }
    assert.equal((await call("POST", "/os-server-groups", "q4", group)).status, 200)
    assert.equal((await call("POST", "/os-server-groups", "q4", group)).status, 403)
    assert.equal((await call("DELETE", `${path}${ofUser}`, admin)).status, 202)
    assert.equal((await call("POST", "/os-server-groups", "q4", group)).status, 200)
  })

  test("the class default stands in for the configuration, other classes for nothing", async () => {
    const path = "/os-quota-class-sets"
    assert.equal((await call("GET", `${path}/default`, "p1")).status, 403)
    const before = (await call("GET", `${path}/default`, admin)).body.quota_class_set
    assert.equal(before.id, "default")
    assert.equal("server_groups" in before, false)
    const set = (name: string, instances: number) =>
      call("PUT", `${path}/${name}`, admin, { quota_class_set: { instances } }, "2.50")
    assert.equal((await set("default", 12)).body.quota_class_set.server_groups, 10)
    assert.equal((await set("gold", 99)).body.quota_class_set.instances, 99)
    assert.equal((await call("GET", "/os-quota-sets/p1", "p1")).body.quota_set.instances, 12)
    assert.equal((await call("GET", `${path}/silver`, admin)).body.quota_class_set.instances, 10)
    await set("default", 10)
  })
})

describe("limits", () => {
  test("say what may be and what is used", async () => {
    await addServer({ project: "l1" })
    const { limits } = (await call("GET", "/limits?reserved=1", "l1")).body
    assert.deepEqual(limits.rate, [])
    assert.equal(limits.absolute.maxTotalInstances, 10)
    assert.equal(limits.absolute.totalInstancesUsed, 1)
    assert.equal(limits.absolute.totalCoresUsed, 2)
    assert.equal(limits.absolute.totalRAMUsed, 512)
    assert.equal(limits.absolute.maxImageMeta, 128)
    assert.equal(Object.keys(limits.absolute).length, 19)
  })

  test("lose names with the versions", async () => {
    const count = async (version: string) =>
      Object.keys((await call("GET", "/limits", "l1", undefined, version)).body.limits.absolute).length
    assert.deepEqual([await count("2.36"), await count("2.39"), await count("2.57")], [14, 13, 11])
    assert.equal((await call("GET", "/limits?reserved=1", "l1", undefined, "2.75")).status, 400)
  })

  test("of another project are for administrators", async () => {
    assert.equal((await call("GET", "/limits?tenant_id=l1", "p1")).status, 403)
    const { body } = await call("GET", "/limits?tenant_id=l1", admin)
    assert.equal(body.limits.absolute.totalInstancesUsed, 1)
  })
})

describe("aggregates", () => {
  const path = "/os-aggregates"
  async function add(name: string, zone?: string): Promise<number> {
    const aggregate = { name, ...(zone === undefined ? {} : { availability_zone: zone }) }
    const made = await call("POST", path, admin, { aggregate })
    assert.equal(made.status, 200, JSON.stringify(made.body))
    return made.body.aggregate.id
  }
  const act = (id: number, body: unknown) => call("POST", `${path}/${id}/action`, admin, body)
  const zones = async (): Promise<string[]> => {
    const { body } = await call("GET", "/os-availability-zone", "p1")
    return body.availabilityZoneInfo.map((z: { zoneName: string }) => z.zoneName)
  }

  test("make the zones of hosts", async () => {
    await addHost("h1")
    const id = await add("agg1", "az1")
    const added = await act(id, { add_host: { host: "h1" } })
    assert.deepEqual(added.body.aggregate.hosts, ["h1"])
    assert.deepEqual(added.body.aggregate.metadata, { availability_zone: "az1" })
    assert.deepEqual(await zones(), ["az1"])
    assert.equal((await act(id, { add_host: { host: "h1" } })).status, 409)
    assert.equal((await act(id, { add_host: { host: "nowhere" } })).status, 404)
    const other = await add("agg2", "az2")
    assert.equal((await act(other, { add_host: { host: "h1" } })).status, 409)
    assert.equal((await call("DELETE", `${path}/${id}`, admin)).status, 400)
    assert.equal((await act(id, { remove_host: { host: "h1" } })).status, 200)
    assert.equal((await act(id, { remove_host: { host: "h1" } })).status, 404)
    assert.deepEqual(await zones(), ["nova"])
    assert.equal((await call("DELETE", `${path}/${id}`, admin)).status, 200)
    assert.equal((await call("GET", `${path}/${id}`, admin)).status, 404)
  })

  test("two at once do not give a host two zones", async () => {
    await addHost("h3")
    const ids = [await add("race1", "east"), await add("race2", "west")]
    const replies = await Promise.all(ids.map((id) => act(id, { add_host: { host: "h3" } })))
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 409])
  })

  test("a zone does not change under servers", async () => {
    await addHost("h2")
    await addServer({ project: "p1", host: "h2" })
    const id = await add("agg3", "az3")
    assert.equal((await act(id, { add_host: { host: "h2" } })).status, 409)
    const plain = await add("agg4")
    assert.equal((await act(plain, { add_host: { host: "h2" } })).status, 200)
    const put = await call("PUT", `${path}/${plain}`, admin, { aggregate: { availability_zone: "az4" } })
    assert.equal(put.status, 400)
    assert.match(put.body.badRequest.message, /contain instances in this zone/)
    assert.equal((await act(plain, { set_metadata: { metadata: { availability_zone: "az4" } } })).status, 400)
    assert.equal((await call("GET", `${path}/${plain}`, admin)).body.aggregate.updated_at, null)
  })

  test("names and metadata change", async () => {
    const id = await add("agg5")
    assert.equal((await call("POST", path, admin, { aggregate: { name: "agg5" } })).status, 409)
    const renamed = await call("PUT", `${path}/${id}`, admin, { aggregate: { name: " agg6 " } }, "2.41")
    assert.equal(renamed.body.aggregate.name, "agg6")
    assert.match(renamed.body.aggregate.uuid, /^[0-9a-f-]{36}$/)
    assert.match(renamed.body.aggregate.updated_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/)
    await act(id, { set_metadata: { metadata: { a: "1", b: "2" } } })
    const { body } = await act(id, { set_metadata: { metadata: { a: null, c: "3" } } })
    assert.deepEqual(body.aggregate.metadata, { b: "2", c: "3" })
    assert.equal((await act(id, { set_metadata: { metadata: { availability_zone: null } } })).status, 400)
    const bad = { aggregate: { name: "agg7", availability_zone: "a:b" } }
    assert.equal((await call("POST", path, admin, bad)).status, 400)
  })

  test("are for administrators, also those that there are not", async () => {
    for (const [method, at] of [
      ["GET", path],
      ["GET", `${path}/-1`],
      ["DELETE", `${path}/-1`],
    ] as const)
      assert.equal((await call(method, at, "p1")).status, 403, at)
    assert.equal((await call("GET", `${path}/-1`, admin)).status, 404)
    assert.equal((await call("GET", `${path}/x`, admin)).status, 400)
  })
})

describe("server groups", () => {
  const path = "/os-server-groups"
  const add = (as: string, policy = "affinity") =>
    call("POST", path, as, { server_group: { name: "g", policies: [policy] } }, "2.15")

  test("are shown by version, with their servers", async () => {
    const made = (await add("g1")).body.server_group
    assert.deepEqual(made.policies, ["affinity"])
    const member = await addServer({ project: "g1", group: made.id })
    await addServer({ project: "g1", group: made.id, launched: "2020-01-01", ended: "2020-01-02" })
    assert.deepEqual((await call("GET", `${path}/${made.id}`, "g1")).body.server_group, {
      id: made.id,
      name: "g",
      policies: ["affinity"],
      members: [member],
      metadata: {},
    })
    assert.deepEqual((await call("GET", path, "g1", undefined, "2.64")).body.server_groups, [
      {
        id: made.id,
        name: "g",
        policy: "affinity",
        rules: {},
        members: [member],
        project_id: "g1",
        user_id: "user-of-g1",
      },
    ])
    const unknown = await call("GET", `${path}/${newUuid()}`, "p1")
    for (const method of ["GET", "DELETE"]) {
      const foreign = await call(method, `${path}/${made.id}`, "p1")
      assert.equal(foreign.status, 404)
      assert.deepEqual(Object.keys(foreign.body), Object.keys(unknown.body))
    }
    assert.equal((await call("GET", `${path}/${made.id}`, admin)).status, 200)
    assert.equal((await call("DELETE", `${path}/${made.id}`, "g1:reader")).status, 403)
    assert.equal((await call("GET", `${path}/no-uuid`, "p1")).status, 404)
  })

  test("rules are anti-affinity's", async () => {
    const body = (policy: string) => ({
      server_group: { name: "g", policy, rules: { max_server_per_host: 3 } },
    })
    const made = await call("POST", path, "g2", body("anti-affinity"), "2.64")
    assert.deepEqual(made.body.server_group.rules, { max_server_per_host: 3 })
    assert.equal((await call("POST", path, "g2", body("affinity"), "2.64")).status, 400)
    const soft = { server_group: { name: "g", policies: ["soft-affinity"] } }
    assert.equal((await call("POST", path, "g2", soft, "2.14")).status, 400)
    assert.equal((await call("POST", path, "g2", soft, "2.15")).status, 200)
    assert.equal((await call("POST", path, "g2:reader", soft, "2.15")).status, 403)
  })

  test("lists are cut by limit and offset; all projects for administrators", async () => {
    const ids: string[] = []
    for (let i = 0; i < 3; i++) ids.push((await add("g3")).body.server_group.id)
    const list = async (query: string, as: string) =>
      (await call("GET", `${path}${query}`, as)).body.server_groups.map((g: { id: string }) => g.id)
    assert.deepEqual(await list("?limit=1&offset=1", "g3"), [ids[1]])
    assert.deepEqual(await list("?all_projects", "g3"), ids)
    assert.deepEqual(await list("", admin), [])
    assert.ok((await list("?all_projects=1", admin)).includes(ids[2]))
  })

  test("a project has so many, and a group so many servers", async () => {
    await addProject("g4")
    await call("PUT", "/os-quota-sets/g4", admin, {
      quota_set: { server_groups: 1, server_group_members: 1 },
    })
    const { id } = (await add("g4")).body.server_group
    const over = await add("g4")
    assert.equal(over.status, 403)
    assert.match(over.body.forbidden.message, /server_groups/)
    const join = () =>
      transact(cloud.platform.db, (tx) =>
        joinServerGroup(cloud.ctx("g4"), tx, { serverGroupId: id, projectId: "g4", userId: "u", count: 1 }),
      )
    await join()
    await addServer({ project: "g4", group: id })
    await assert.rejects(join, { code: "quota.exceeded" })
    await assert.rejects(usableServerGroup(cloud.ctx("p1"), id), { code: "compute.server_group.unusable" })
  })

  test("placement sees where the other members are; a deleted group asks for nothing", async () => {
    const { id } = (await add("g5", "anti-affinity")).body.server_group
    const first = await addServer({ project: "g5", group: id, host: "a" })
    const second = await addServer({ project: "g5", group: id, host: "b" })
    const placement = () => transact(cloud.platform.db, (tx) => selectGroupPlacement(tx, id, second))
    assert.deepEqual(await placement(), {
      policy: "anti-affinity",
      members: new Map([["a", 1]]),
      maxPerHost: 1,
    })
    assert.equal((await call("DELETE", `${path}/${id}`, "g5")).status, 204)
    assert.equal((await call("DELETE", `${path}/${id}`, "g5")).status, 404)
    assert.equal(await placement(), null)
    const row = await cloud.platform.db
      .selectFrom("compute.server")
      .select("server_group_id")
      .where("id", "=", first)
      .executeTakeFirst()
    assert.equal(row?.server_group_id, null)
  })
})

describe("usage", () => {
  const path = "/os-simple-tenant-usage"
  const day = "start=2021-03-01T00:00:00&end=2021-03-02T00:00:00.000000"

  test("counts the hours of each server within the period, deleted ones too", async () => {
    await addServer({ project: "u1", launched: "2021-02-01T00:00:00Z" })
    await addServer({ project: "u1", launched: "2021-03-01T06:00:00Z", ended: "2021-03-01T12:00:00Z" })
    await addServer({ project: "u1", launched: "2021-01-01T00:00:00Z", ended: "2021-02-02T00:00:00Z" })
    await addServer({ project: "u1" })
    const { tenant_usage: usage } = (await call("GET", `${path}/u1?${day}`, "u1")).body
    assert.equal(usage.total_hours, 30)
    assert.equal(usage.total_vcpus_usage, 60)
    assert.equal(usage.total_memory_mb_usage, 30 * 512)
    assert.equal(usage.start, "2021-03-01T00:00:00.000000")
    const exact = "start=2021-03-01T00:00:00.123456&end=2021-03-02T00:00:00.654321"
    const { tenant_usage: shown } = (await call("GET", `${path}/u1?${exact}`, "u1")).body
    assert.deepEqual([shown.start, shown.stop], ["2021-03-01T00:00:00.123456", "2021-03-02T00:00:00.654321"])
    assert.equal(usage.server_usages.length, 2)
    const ended = usage.server_usages.find((s: { state: string }) => s.state === "terminated")
    assert.equal(ended.hours, 6)
    assert.equal(ended.uptime, 6 * 3600)
    assert.equal(ended.ended_at, "2021-03-01T12:00:00.000000")
  })

  test("lists all projects for administrators, in pages from 2.40 on", async () => {
    await addServer({ project: "u2", launched: "2021-03-01T00:00:00Z", ended: "2021-03-01T01:00:00Z" })
    assert.equal((await call("GET", `${path}?${day}`, "u1")).status, 403)
    const brief = (await call("GET", `${path}?${day}`, admin)).body
    assert.deepEqual(
      brief.tenant_usages.map((u: { tenant_id: string }) => u.tenant_id),
      ["u1", "u2"],
    )
    assert.equal("server_usages" in brief.tenant_usages[0], false)
    assert.equal("tenant_usages_links" in brief, false)
    let hours = 0
    let pages = 0
    for (let search: string | undefined = `?${day}&limit=1&detailed=1`; search; pages++) {
      const { body } = await call("GET", `${path}${search}`, admin, undefined, "2.40")
      for (const usage of body.tenant_usages) hours += usage.total_hours
      search = body.tenant_usages_links && new URL(body.tenant_usages_links[0].href).search
    }
    assert.equal(hours, 31)
    assert.equal(pages, 4)
  })

  test("refuses periods that are none", async () => {
    const bad = async (query: string) =>
      (await call("GET", `${path}/u1?${query}`, "u1", undefined, "2.40")).status
    assert.equal(await bad("start=2021-03-02T00:00:00&end=2021-03-01T00:00:00"), 400)
    assert.equal(await bad("start=yesterday"), 400)
    assert.equal(await bad(`${day}&marker=${newUuid()}`), 400)
    assert.equal((await call("GET", `${path}/u2?${day}`, "u1")).status, 403)
    assert.deepEqual((await call("GET", `${path}/u1`, "u1")).body.tenant_usage.total_hours >= 0, true)
    assert.deepEqual((await call("GET", `${path}/nobody`, admin)).body, { tenant_usage: {} })
    assert.equal((await call("GET", `${path}/?${day}`, admin)).status, 404)
  })
})
