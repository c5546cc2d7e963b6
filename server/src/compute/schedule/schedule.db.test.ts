// The scheduler on real rows: what it claims, and what it says when it cannot.
import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { statementsOf } from "../../../test/count-statements.ts"
import { openTestDatabase } from "../../../test/database.ts"
import { loadConfig } from "../../platform/config/config.ts"
import type { Platform } from "../../platform/context/context.ts"
import { type Db, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import "../config.ts"
import { noValidHost } from "../faults.ts"
import { refreshRatios } from "../host/ratio.ts"
import type { Server } from "../server/server.ts"
import { insertServers, type NewServer } from "../server/store.ts"
import { insertHosts } from "../testing/hosts.ts"
import { newServer } from "../testing/new-server.ts"
import { explainServer } from "./explain-server.ts"
import { scheduleServer } from "./schedule.ts"

const base = { dataDir: "", publicUrl: "", region: "", host: "" } as never

/** The scheduler looks at no more of a platform. */
function platformOf(db: Db, overrides: Record<string, unknown> = {}): Platform {
  return { db, config: loadConfig({ env: {}, base, overrides }) } as unknown as Platform
}

async function insertOne(db: Db, over: Partial<NewServer> = {}): Promise<Server> {
  const [server] = await transact(db, (tx) => insertServers(tx, [newServer(over)]))
  return server ?? assert.fail()
}

const flavorOf = (over: Partial<NewServer["flavor"]>) => ({ flavor: { ...newServer().flavor, ...over } })

async function place(platform: Platform, over: Partial<NewServer> = {}, forcedHost: string | null = null) {
  const server = await insertOne(platform.db, over)
  const options = { forcedHost, excludedHosts: [] }
  const placed = await transact(platform.db, async (tx) => {
    const found = await scheduleServer(platform, tx, server, options)
    await sql`update compute.server set host = ${found.host}, task_state = null where id = ${server.id}`.execute(
      tx,
    )
    return found
  })
  return { server, ...placed }
}

async function assertSums(db: Db): Promise<void> {
  const { rows } = await sql`
    select i.provider_id, i.resource_class from placement.inventory i
    left join placement.allocation a using (provider_id, resource_class)
    group by i.provider_id, i.resource_class, i.used, i.capacity
    having i.used <> coalesce(sum(a.used), 0) or i.used > i.capacity`.execute(db)
  assert.deepEqual(rows, [])
}

test("many at once fill every host to the last place, and none beyond", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const platform = platformOf(db, { "compute.schedule.candidatePage": 2 })
  await insertHosts(db, { count: 6, vcpus: 8 })
  const results = await Promise.allSettled(Array.from({ length: 30 }, () => place(platform)))
  assert.equal(results.filter((result) => result.status === "fulfilled").length, 24)
  const [lost] = results.filter((result) => result.status === "rejected")
  assert.ok(noValidHost.is(lost?.reason), String(lost?.reason))
  assert.equal(lost.reason.message, "No valid host was found. No host has 2 vCPUs free.")
  await assertSums(db)
})

test("a server comes to a host that reaches the physical networks of its ports, and the others are not read", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const platform = platformOf(db, { "compute.schedule.candidatePage": 1 })
  await insertHosts(db, { count: 20 })
  const hosts = (await db.selectFrom("compute.host").select("name").orderBy("name").execute()).map(
    (h) => h.name,
  )
  for (const [at, host] of hosts.entries()) {
    const mappings = JSON.stringify({ public: "br-ex", ...(at === 13 && { dc: "br-dc" }) })
    await sql`insert into network.agent (id, host, binary_name, bridge_mappings)
      values (gen_random_uuid(), ${host}, 'ovn-controller', ${mappings}::jsonb)`.execute(db)
  }
  const asking = (...physicalNetworks: string[]) => ({
    requestedNetworks: { interfaces: [], securityGroupIds: [], physicalNetworks },
  })
  const statements = await statementsOf(async () => {
    assert.equal((await place(platform, asking("public", "dc"))).host, hosts[13])
  })
  assert.equal(
    statements.filter((text) => text.includes("from compute.host h") || /join compute.host h/.test(text))
      .length,
    1,
  )
  await assert.rejects(
    place(platform, asking("edge")),
    /No valid host.*reaches the physical network of a network/,
  )
  await sql`update network.agent set bridge_mappings = null where host = ${hosts[4] ?? ""}`.execute(db)
  assert.equal((await place(platform, asking("edge"))).host, hosts[4], "who did not say is not refused")
})

test("a decision is two statements, whatever the number of hosts", async () => {
  await using database = await openTestDatabase()
  const platform = platformOf(database.db)
  await insertHosts(database.db, { count: 300 })
  const server = await insertOne(database.db)
  const statements = await statementsOf(() =>
    transact(database.db, (tx) =>
      scheduleServer(platform, tx, server, { forcedHost: null, excludedHosts: [] }),
    ),
  )
  const waited = statements.filter((text) => !/^begin|^commit|unawaited/.test(text))
  assert.deepEqual(
    waited.map((text) => text.trim().split(/\s/)[0]),
    ["select", "with"],
    waited.join("\n---\n"),
  )
})

test("when nobody of a page passes the filters, the next one is looked at", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  await insertHosts(db, { count: 40 })
  await sql`insert into compute.aggregate (uuid, name, metadata)
    values (${newUuid()}, 'a', '{"filter_tenant_id": "others"}')`.execute(db)
  await sql`insert into compute.aggregate_host (aggregate_id, host)
    select a.id, h.name from compute.aggregate a, compute.host h where h.name <> 'host-7'`.execute(db)
  const enabledFilters = ["ComputeFilter", "AggregateMultiTenancyIsolation"]
  for (const scheduler of ["filter", "filter", "filter"]) {
    const platform = platformOf(db, {
      "compute.schedule.candidatePage": 3,
      "compute.schedule.enabledFilters": enabledFilters,
      "compute.schedule.scheduler": scheduler,
    })
    assert.equal((await place(platform)).host, "host-7")
  }
})

test("memory decides, most first, or least first; chance asks nothing", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  await insertHosts(db, { count: 30 })
  await sql`update placement.inventory i set used = total - 1000 from compute.host h
    where h.id = i.provider_id and i.resource_class = 'MEMORY_MB' and h.name <> 'host-3'`.execute(db)
  const page = { "compute.schedule.candidatePage": 1 }
  assert.equal((await place(platformOf(db, page))).host, "host-3")
  const tight = platformOf(db, { ...page, "compute.schedule.ramWeightMultiplier": -1 })
  assert.notEqual((await place(tight)).host, "host-3")
  const chance = platformOf(db, { ...page, "compute.schedule.scheduler": "chance" })
  const hosts = new Set<string>()
  for (let i = 0; i < 8; i++) hosts.add((await place(chance)).host)
  assert.ok(hosts.size > 1, "any host may come")
})

test("an aggregate's ratio and a host's own say how much is sold", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  await insertHosts(db, { count: 3, vcpus: 2 })
  const platform = platformOf(db, {
    "compute.cpuAllocationRatio": 1,
    "compute.hostAllocationRatios": { "host-2": { cpu: 2 } },
  })
  await sql`insert into compute.aggregate (uuid, name, metadata)
    values (${newUuid()}, 'a', '{"cpu_allocation_ratio": "3"}')`.execute(db)
  await sql`insert into compute.aggregate_host (aggregate_id, host) select id, 'host-3' from compute.aggregate`.execute(
    db,
  )
  await transact(db, (tx) => refreshRatios(platform, tx))
  const { rows } = await sql<{ capacity: number }>`
    select i.capacity from compute.host h join placement.inventory i on i.provider_id = h.id
    where i.resource_class = 'VCPU' order by h.number`.execute(db)
  assert.deepEqual(
    rows.map(({ capacity }) => capacity),
    [2, 4, 6],
  )
})

interface Case {
  what: string
  /** Of the server that is to be explained. */
  over?: Partial<NewServer>
  prepare?: (db: Db) => Promise<unknown>
  by: string
  why: RegExp
  fix: RegExp | null
  forUser: RegExp
  missing?: { wanted: number; has: number }
}

const noneNamed = /^There are not enough hosts available\.$/
const imageWith = (key: string, value: string) => ({
  systemMetadata: { image_base_image_ref: "i", [`image_property_${key}`]: value },
})
const group = "11111111-1111-4111-8111-111111111111"

async function withGroup(db: Db, policy: string): Promise<void> {
  await sql`insert into compute.server_group (id, project_id, user_id, name, policy)
    values (${group}, 'p1', 'u1', 'g', ${policy}) on conflict (id) do update set policy = excluded.policy`.execute(
    db,
  )
}

const cases: Case[] = [
  {
    ...{ what: "virtual CPUs", over: flavorOf({ vcpus: 15 }), by: "VCPU", missing: { wanted: 15, has: 14 } },
    prepare: (db) => sql`update placement.inventory set used = 2 where resource_class = 'VCPU'`.execute(db),
    why: /14 vCPUs are free of 16, and 15 are asked for/,
    fix: /free 1 vCPUs there, or cpu_allocation_ratio 1\.07/,
    forUser: /^No host has 15 vCPUs free\.$/,
  },
  {
    ...{ what: "more than one server may have", over: flavorOf({ vcpus: 64 }), by: "VCPU" },
    ...{ missing: { wanted: 64, has: 16 }, why: /one server gets 16 vCPUs at the most/ },
    ...{ fix: /a flavor with 16 vCPUs/, forUser: /^No host has 64 vCPUs free\.$/ },
  },
  {
    ...{ what: "memory", over: flavorOf({ ramMib: 65_536 }), by: "MEMORY_MB" },
    prepare: (db) =>
      sql`update placement.inventory set used = 1 where resource_class = 'MEMORY_MB'`.execute(db),
    ...{ missing: { wanted: 65_536, has: 65_535 }, why: /65535 MiB of memory are free/ },
    ...{ fix: /free 1 MiB of memory there/, forUser: /^No host has 65536 MiB of memory free\.$/ },
  },
  {
    ...{ what: "disk", over: flavorOf({ diskGib: 1_001 }), by: "DISK_GB" },
    ...{ missing: { wanted: 1_001, has: 1_000 }, why: /one server gets 1000 GiB of disk/ },
    ...{ fix: /a flavor with 1000 GiB/, forUser: /^No host has 1001 GiB of disk free\.$/ },
  },
  {
    ...{
      what: "disabled",
      by: "ComputeFilter",
      why: /it is disabled/,
      fix: /host enable host-1/,
      forUser: noneNamed,
    },
    prepare: (db) => sql`update compute.host set is_disabled = true`.execute(db),
  },
  {
    ...{ what: "down", by: "ComputeFilter", why: /it is down/, fix: /start it/, forUser: noneNamed },
    prepare: (db) => sql`update compute.host set last_seen_at = now() - interval '1 hour'`.execute(db),
  },
  {
    ...{ what: "zone", over: { pinnedAvailabilityZone: "az2" }, by: "AvailabilityZoneFilter" },
    ...{ why: /not in zone az2 but in nova/, fix: /ask for zone nova/, forUser: /it is not in zone az2/ },
  },
  {
    ...{ what: "same_host", over: { schedulerHints: { same_host: newUuid() } }, by: "SameHostFilter" },
    ...{ why: /same_host names another/, fix: /leave the hint/, forUser: /same_host names another host/ },
  },
  {
    ...{ what: "image", over: imageWith("hw_architecture", "aarch64"), by: "ImagePropertiesFilter" },
    ...{ why: /architecture aarch64; the host runs x86_64/, fix: /another image/, forUser: /aarch64/ },
  },
  {
    ...{ what: "flavor", over: flavorOf({ extraSpecs: { vcpus_total: ">= 17" } }) },
    ...{
      by: "ComputeCapabilitiesFilter",
      why: /the host has 16/,
      fix: /extra spec vcpus_total/,
      forUser: /vcpus_total/,
    },
  },
  {
    ...{ what: "affinity", over: { serverGroupId: group }, by: "ServerGroupAffinityFilter" },
    prepare: async (db) => {
      await withGroup(db, "affinity")
      const member = await insertOne(db, { serverGroupId: group })
      await sql`update compute.server set host = 'elsewhere' where id = ${member.id}`.execute(db)
    },
    ...{ why: /on another host/, fix: /outside of the server group/, forUser: /wants all its servers/ },
  },
  {
    ...{ what: "anti-affinity", over: { serverGroupId: group }, by: "ServerGroupAntiAffinityFilter" },
    prepare: async (db) => {
      await withGroup(db, "anti-affinity")
      const member = await insertOne(db, { serverGroupId: group })
      await sql`update compute.server set host = 'host-1' where id = ${member.id}`.execute(db)
    },
    ...{ missing: { wanted: 2, has: 1 }, why: /1 of at most 1 are here/, fix: /max_server_per_host/ },
    forUser: /wants its servers on different hosts/,
  },
  {
    ...{ what: "other projects", by: "AggregateMultiTenancyIsolation", why: /for the projects p9 only/ },
    prepare: async (db) => {
      await sql`insert into compute.aggregate (uuid, name, metadata)
        values (${newUuid()}, 'a', '{"filter_tenant_id": "p9"}')`.execute(db)
      await sql`insert into compute.aggregate_host (aggregate_id, host) select id, 'host-1' from compute.aggregate`.execute(
        db,
      )
    },
    ...{ fix: /add p1 to filter_tenant_id/, forUser: noneNamed },
  },
  {
    ...{ what: "number of servers", by: "NumInstancesFilter", missing: { wanted: 2, has: 1 } },
    prepare: async (db) => {
      const other = await insertOne(db)
      await sql`update compute.server set host = 'host-1' where id = ${other.id}`.execute(db)
    },
    ...{ why: /1 servers are there, at most 1/, fix: /max_instances_per_host to 2/, forUser: noneNamed },
  },
  {
    ...{ what: "forced host", over: { systemMetadata: { forced_host: "host-2" } }, by: "RequestedHost" },
    ...{ why: /not the host asked for/, fix: /ask for this host/, forUser: noneNamed },
  },
]

for (const { what, over, prepare, by, why, fix, forUser, missing } of cases) {
  test(`explained: ${what}`, async () => {
    await using database = await openTestDatabase()
    const { db } = database
    const isCounted = by === "NumInstancesFilter"
    const platform = platformOf(db, {
      "compute.schedule.maxInstancesPerHost": isCounted ? 1 : 50,
      "compute.schedule.enabledFilters": [
        ...loadConfig({ env: {}, base }).compute.schedule.enabledFilters,
        "AggregateMultiTenancyIsolation",
        "NumInstancesFilter",
      ],
    })
    await insertHosts(db, { count: 1 })
    await prepare?.(db)
    const server = await insertOne(db, over)
    const told = await explainServer(platform, server.id)
    const [verdict] = told.hosts
    assert.deepEqual(
      verdict?.refusals.map((refusal) => refusal.by),
      [by],
    )
    const [refusal] = verdict?.refusals ?? []
    assert.match(refusal?.why ?? "", why)
    if (missing)
      assert.deepEqual([refusal?.missing?.wanted, refusal?.missing?.has], [missing.wanted, missing.has])
    if (fix) assert.match(told.smallestChange?.changes.join() ?? "", fix)
    assert.match(told.forUser ?? "", forUser)
    assert.ok(!told.forUser?.includes("host-"), "users read no name of a host")
    // The scheduler says the same, to users and to operators.
    const forced = what === "forced host" ? "host-2" : null
    const failed = transact(db, (tx) =>
      scheduleServer(platform, tx, server, { forcedHost: forced, excludedHosts: [] }),
    )
    await assert.rejects(failed, (error) => {
      assert.ok(noValidHost.is(error), String(error))
      assert.equal(error.message, `No valid host was found. ${told.forUser}`)
      assert.match(error.forOperators ?? "", new RegExp(`host-1: ${by}: `))
      return true
    })
  })
}

test("a server that fits is told so, and the smallest change is that of the host that lacks least", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const platform = platformOf(db)
  await insertHosts(db, { count: 3, vcpus: 8 })
  const fits = await explainServer(platform, (await insertOne(db)).id)
  assert.deepEqual([fits.forUser, fits.smallestChange], [null, null])
  await sql`update placement.inventory i set used = case h.name when 'host-2' then 6 else 7 end
    from compute.host h where h.id = i.provider_id and i.resource_class = 'VCPU'`.execute(db)
  await sql`update compute.host set is_disabled = true where name = 'host-3'`.execute(db)
  const server = await insertOne(db, flavorOf({ vcpus: 3 }))
  const told = await explainServer(platform, server.id)
  assert.equal(told.smallestChange?.host, "host-2")
  assert.deepEqual(
    told.reasons.map(({ by, hosts, best }) => [by, hosts, best]),
    [
      ["VCPU", 3, 2],
      ["ComputeFilter", 1, undefined],
    ],
  )
})
