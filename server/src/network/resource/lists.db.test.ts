// What a list reads is what its viewer sees, however much others have: each noun, each filter, each order.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { type RawBuilder, sql } from "kysely"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import type { Fields } from "../../platform/noun/field.ts"
import { type ListQuery, listStatement, listThings } from "../../platform/noun/list.ts"
import { declaredNouns, type Noun, type Source, sourceOf } from "../../platform/noun/noun.ts"
import { addressGroupNoun } from "../address-group/address-group.ts"
import { addressScopeNoun } from "../address-scope/address-scope.ts"
import { floatingIpNoun } from "../floating-ip/floating-ip.ts"
import { networkNoun } from "../network/network.ts"
import { portNoun } from "../port/port.ts"
import { rbacPolicyNoun } from "../rbac/rbac-policy.ts"
import { routerNoun } from "../router/router.ts"
import { securityGroupNoun, securityGroupRuleNoun } from "../security-group/security-group.ts"
import { networkService } from "../service.ts"
import { subnetNoun } from "../subnet/subnet.ts"
import { subnetPoolNoun } from "../subnet-pool/subnet-pool.ts"
import type { Viewer } from "./viewer.ts"

/** Things of other projects, of each noun. */
const foreign = Number(process.env.KUMOI_TEST_FOREIGN ?? 20_000)
/** Of them so many are on networks that the viewer owns or that are shared with it. */
const seen = 5

const me: Viewer = { projectId: "me", seesAll: false }
const admin: Viewer = { projectId: "admin", seesAll: true }
const stranger: Viewer = { projectId: null, seesAll: false }

/** Nouns of the network by the words of their tests. */
const nouns: Readonly<Record<string, Noun<Fields, Viewer>>> = {
  network: networkNoun,
  subnet: subnetNoun,
  port: portNoun,
  router: routerNoun,
  "floating ip": floatingIpNoun,
  "security group": securityGroupNoun,
  "security group rule": securityGroupRuleNoun,
  "subnet pool": subnetPoolNoun,
  "address scope": addressScopeNoun,
  "address group": addressGroupNoun,
  "rbac policy": rbacPolicyNoun,
}

test("every noun of the network is tried here", () => {
  // An administrator's few.
  const few = ["network.default_security_group_rule"]
  const tried = Object.values(nouns).map((noun) => noun.name)
  assert.ok(networkService.apis.length > 0, "all of the service is loaded")
  const all = declaredNouns().map((noun) => noun.name)
  assert.deepEqual(all.filter((name) => name.startsWith("network.")).sort(), [...tried, ...few].sort())
})

let database: TestDatabase
before(async () => {
  database = await openTestDatabase()
  await fill()
})
after(async () => await database[Symbol.asyncDispose]())

/** The things of many projects, ten of each noun a project; names and addresses are what all use. */
async function fill(): Promise<void> {
  const { db } = database
  const run = async (statement: RawBuilder<unknown>) => {
    await statement.execute(db)
  }
  const id = (noun: string, n = "g") => sql`md5(${sql.lit(noun)} || (${sql.raw(n)})::text)::uuid`
  const owner = sql`case when g <= ${seen} then 'me' else 'p' || (g / 10) end`
  const at = sql`timestamptz '2026-01-01' + g * interval '1 second'`
  const rows = sql`generate_series(1, ${foreign}::integer) g`
  const name = sql`case g % 4 when 0 then 'default' else 'name-' || g end`
  await run(sql`insert into network.network (id, project_id, name, created_at, mtu, provider_type, segmentation_id)
    select ${id("network")}, ${owner}, ${name}, ${at}, 1442, 'geneve', g from ${rows}`)
  await run(sql`insert into network.subnet (id, network_id, project_id, name, created_at, ip_version, cidr, gateway_ip)
    select ${id("subnet")}, ${id("network")}, ${owner}, ${name}, ${at}, 4, '10.0.0.0/16', '10.0.0.1' from ${rows}`)
  await run(sql`insert into network.allocation_pool (subnet_id, first_address, last_address)
    select ${id("subnet")}, '10.0.0.2', '10.0.255.254' from ${rows}`)
  // Each fifth port of a network is another project's; the viewer's networks have some too.
  await run(sql`insert into network.port (id, network_id, project_id, name, created_at, mac_address, device_id,
      device_owner)
    select ${id("port")}, ${id("network", "g - (g - 1) % 5")}, case g % 5 when 0 then 'p0' else ${owner} end, ${name}, ${at},
      ('fa:16' || regexp_replace(lpad(to_hex(g), 8, '0'), '(..)', ':\\1', 'g'))::macaddr, 'device-' || g,
      case when g % 1000 = 0 then 'network:router_interface' else 'compute:nova' end from ${rows}`)
  await run(sql`insert into network.ip_allocation (subnet_id, address, network_id, port_id)
    select ${id("subnet", "g - (g - 1) % 5")}, '10.0.0.0'::inet + g % ${foreign / 20}::integer + 2, ${id("network", "g - (g - 1) % 5")},
      ${id("port")} from ${rows}`)
  await run(sql`insert into network.router (id, project_id, name, created_at)
    select ${id("router")}, ${owner}, ${name}, ${at} from ${rows}`)
  await run(sql`insert into network.floating_ip (id, project_id, created_at, floating_network_id, floating_port_id, address)
    select ${id("floating ip")}, ${owner}, ${at}, ${id("network", "1")}, ${id("port")}, '11.0.0.0'::inet + g from ${rows}`)
  await run(sql`insert into network.security_group (id, project_id, name, created_at)
    select ${id("group")}, ${owner}, ${name}, ${at} from ${rows}`)
  await run(sql`insert into network.security_group_rule (id, security_group_id, project_id, created_at, direction, ethertype,
      port_range_min, port_range_max, protocol)
    select ${id("rule")}, ${id("group")}, ${owner}, ${at}, 'ingress', 'IPv4', g % 60000, g % 60000, 'tcp' from ${rows}`)
  await run(sql`insert into network.port_security_group (port_id, security_group_id)
    select ${id("port")}, ${id("group")} from ${rows}`)
  await run(sql`insert into network.subnet_pool (id, project_id, name, created_at, ip_version, prefixes,
      default_prefix_length, min_prefix_length, max_prefix_length)
    select ${id("pool")}, ${owner}, ${name}, ${at}, 4, array['10.0.0.0/8'::cidr], 24, 8, 32 from ${rows}`)
  await run(sql`insert into network.address_scope (id, project_id, name, created_at, ip_version)
    select ${id("scope")}, ${owner}, ${name}, ${at}, 4 from ${rows}`)
  await run(sql`insert into network.address_group (id, project_id, name, created_at)
    select ${id("address group")}, ${owner}, ${name}, ${at} from ${rows}`)
  // All share with somebody; the last few with the viewer, and one with everybody.
  for (const [type, noun] of [
    ["network", "network"],
    ["security_group", "group"],
    ["address_scope", "scope"],
    ["subnetpool", "pool"],
    ["address_group", "address group"],
  ] as const) {
    await run(sql`insert into network.rbac_policy (id, project_id, object_type, object_id, action, target_project, created_at)
      select ${id(`rbac ${noun}`)}, ${owner}, ${type}, ${id(noun)}, 'access_as_shared',
        case when g > ${foreign - seen} then 'me' when g = ${foreign - seen} then '*' else 'somebody' || g end, ${at}
      from ${rows}`)
  }
  await run(sql`vacuum analyze`)
}

type Thing = Readonly<Record<string, unknown>>

interface Cost {
  /** Pages of 8 kB that were looked at. */
  pages: number
  scans: string[]
}

interface PlanNode {
  "Node Type": string
  "Relation Name"?: string
  "Shared Hit Blocks"?: number
  "Shared Read Blocks"?: number
  Plans?: PlanNode[]
}

async function costOf(
  source: Source,
  query: ListQuery,
  marker: Record<string, unknown> | null = null,
): Promise<Cost> {
  const { rows } = await sql<{ "QUERY PLAN": [{ Plan: PlanNode }] }>`
    explain (analyze, buffers, format json) ${listStatement(source, query, marker)}`.execute(database.db)
  const plan = rows[0]?.["QUERY PLAN"][0].Plan
  assert.ok(plan)
  const scans: string[] = []
  const walk = (node: PlanNode) => {
    if (node["Node Type"] === "Seq Scan") scans.push(node["Relation Name"] ?? "")
    node.Plans?.forEach(walk)
  }
  walk(plan)
  return { pages: (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0), scans }
}

/** What a column of that kind is compared with: one value that some have, and one that nobody has. */
const values: Readonly<Record<string, readonly string[]>> = {
  text: ["default", "nobody's"],
  uuid: ["00000000-0000-4000-8000-000000000000"],
  boolean: ["true", "false"],
  integer: ["4", "77"],
  address: ["10.0.0.1", "10.9.9.9"],
  cidr: ["10.0.0.0/16", "10.9.0.0/16"],
  mac: ["fa:16:00:00:00:07"],
}
const special: Readonly<Record<string, readonly string[]>> = {
  projectId: ["me", "p7", "nobody"],
  changedSince: ["2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"],
  tags: ["a"],
  tagsAny: ["a"],
  notTags: ["a"],
  notTagsAny: ["a"],
  subnetId: values.uuid ?? [],
  fixedIpSubnetId: values.uuid ?? [],
  securityGroups: values.uuid ?? [],
  gatewayNetworkId: values.uuid ?? [],
  fixedIpAddress: ["10.0.0.7", "10.9.9.9"],
  fixedIpAddressPart: ["10.9"],
}

/** Each filter of the noun that the wire could declare, with its values. */
function filtersOf({ fields }: Source): [string, string][] {
  return Object.entries(fields).flatMap(([key, { kind }]) => {
    const tried = special[key] ?? (kind === "other" ? [] : values[kind])
    return (tried ?? []).map((value): [string, string] => [key, value])
  })
}

const page = { limit: 20 }
/** A page of things with all that belongs to them, with what was looked at to find them. */
const pagesMax = 400

for (const [word, noun] of Object.entries(nouns)) {
  test(`${word}s of a project: no filter and no order reads what others have`, async () => {
    const source = sourceOf(noun, me)
    const wrong: string[] = []
    const check = async (what: string, query: ListQuery, marker: Record<string, unknown> | null = null) => {
      const { pages, scans } = await costOf(source, query, marker)
      if (pages > pagesMax || scans.length > 0)
        wrong.push(`${what}: ${pages} pages, all of [${scans.join(", ")}]`)
    }
    await check("the first page", { page })
    await check("a later page", { page }, { createdAt: "2026-01-01 00:00:03+00", id: values.uuid?.[0] })
    await check("the page before", { page: { ...page, isReverse: true } })
    for (const [key, value] of filtersOf(source))
      await check(`${key}=${value}`, { page, filters: { [key]: [value] } })
    for (const [key, { kind }] of Object.entries(source.fields)) {
      if (kind !== "other")
        await check(`sorted by ${key}`, { page: { ...page, sorts: [{ key, direction: "desc" }] } })
    }
    assert.deepEqual(wrong, [])
  })

  test(`${word}s of a project: what it sees is its own and what is shared, in order, in pages of any size`, async () => {
    const source = sourceOf(noun, me)
    const { rows } = await sql<{
      id: string
    }>`select ${source.columns.id} as id
      from ${source.table} as ${sql.id(source.alias)} ${source.joins}
      where ${source.visible.row} order by ${source.columns.createdAt}, 1`.execute(database.db)
    const expected = rows.map((row) => row.id)
    assert.ok(expected.length >= seen, `${expected.length} are seen`)
    for (const limit of [3, 1_000]) {
      const got: string[] = []
      for (let marker: string | null = null; ; ) {
        const found: Thing[] = await listThings(database.db, noun, me, { page: { limit, marker } })
        got.push(...found.map((thing) => String(thing.id)))
        marker = got.at(-1) ?? null
        if (found.length < limit) break
      }
      assert.deepEqual(got, expected)
    }
    const last: Thing[] = await listThings(database.db, noun, me, { page: { limit: 3, isReverse: true } })
    assert.deepEqual(
      last.map((thing) => thing.id),
      expected.slice(-3),
    )
  })

  test(`${word}s of a caller without a project: only what is everybody's`, async () => {
    const found = await listThings(database.db, noun, stranger)
    assert.ok(found.length <= 1, `${found.length} are seen`)
  })
}

/**
 * What administrators filter the whole cloud by without an index, in the order of creation until the page is full:
 * most things have the same value of these, so that the page is soon full, or nobody looks for them in the whole cloud.
 */
const withoutIndex = new Set([
  "revisionNumber",
  "description",
  "adminStateUp",
  "status",
  "shared",
  "routerExternal",
  "mtu",
  "providerNetworkType",
  "providerPhysicalNetwork",
  "portSecurityEnabled",
  "isDefault",
  "dnsDomain",
  "dnsName",
  "ipv4AddressScope",
  "ipv6AddressScope",
  "ipVersion",
  "enableDhcp",
  "ipv6RaMode",
  "ipv6AddressMode",
  "dnsPublishFixedIp",
  "networkProjectId",
  "networkDnsDomain",
  "networkName",
  "networkMtu",
  "bindingVnicType",
  "propagateUplinkStatus",
  "enableSnat",
  "stateful",
  "belongsToDefaultSg",
  "groupProjectId",
  "direction",
  "ethertype",
  "protocol",
  "portRangeMin",
  "portRangeMax",
  "remoteIpPrefix",
  "remoteIpGiven",
  "defaultPrefixlen",
  "minPrefixlen",
  "maxPrefixlen",
  "defaultQuota",
  "objectType",
  "action",
  "changedSince",
  "tags",
  "tagsAny",
  "notTags",
  "notTagsAny",
  "fixedIpAddressPart",
])

for (const [word, noun] of Object.entries(nouns)) {
  test(`${word}s of the cloud: pages and what people look for are found by indexes`, async () => {
    const source = sourceOf(noun, admin)
    const wrong: string[] = []
    const check = async (what: string, query: ListQuery, marker: Record<string, unknown> | null = null) => {
      const { pages, scans } = await costOf(source, query, marker)
      if (pages > pagesMax || scans.length > 0)
        wrong.push(`${what}: ${pages} pages, all of [${scans.join(", ")}]`)
    }
    await check("the first page", { page })
    await check("a later page", { page }, { createdAt: "2026-01-01 01:00:03+00", id: values.uuid?.[0] })
    await check("the page before", { page: { ...page, isReverse: true } })
    for (const [key, value] of filtersOf(source))
      if (!withoutIndex.has(key)) await check(`${key}=${value}`, { page, filters: { [key]: [value] } })
    assert.deepEqual(wrong, [])
  })
}
