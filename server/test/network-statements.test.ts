// Round trips to the database are what a creation costs: no more of them than here, whatever there is already.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import {
  createFloatingIps,
  createNetworks,
  createPorts,
  createRouters,
  createSecurityGroupRules,
  createSecurityGroups,
  createSubnets,
  listNetworkQuotas,
  listNetworks,
  updateNetworkQuota,
} from "../src/network/index.ts"
import { type Ctx, makeCtx } from "../src/platform/context/context.ts"
import { openDatabase } from "../src/platform/db/database.ts"
import { startTestCloud, type TestCloud } from "./cloud.ts"
import { callerOf } from "./service-cloud.ts"

let cloud: TestCloud
let ctx: Ctx
let counted: ReturnType<typeof openDatabase>
let statements: string[] = []

before(async () => {
  cloud = await startTestCloud()
  counted = openDatabase({ connectionString: cloud.database.connectionString, poolMax: 1 })
  counted.pool.on("connect", (client) => {
    const query = client.query.bind(client)
    client.query = ((first: string | { text: string }, ...rest: unknown[]) => {
      statements.push(typeof first === "string" ? first : first.text)
      return Reflect.apply(query, client, [first, ...rest])
    }) as typeof client.query
  })
  const { platform } = cloud.cloud
  // What runs in the background asks by the platform's own connections.
  ctx = makeCtx(
    Object.assign(Object.create(platform) as typeof platform, { db: counted.db }),
    callerOf("counted:admin"),
    "req-counted",
    cloud.baseUrl,
  )
})
after(async () => {
  await counted.db.destroy()
  await cloud[Symbol.asyncDispose]()
})

async function countOf<T>(run: () => Promise<T>): Promise<[T, string[]]> {
  statements = []
  const result = await run()
  return [result, statements]
}

async function within<T>(most: number, run: () => Promise<T>): Promise<T> {
  const [result, made] = await countOf(run)
  assert.ok(made.length <= most, `${made.length} statements, not ${most}:\n${made.join("\n")}`)
  return result
}

const limits = { network: -1, subnet: -1, port: -1, router: -1, floatingip: -1 } as const

test("creations within a quota and without one", async () => {
  const first = async <T>(made: Promise<T[]>): Promise<T> => {
    const [thing] = await made
    assert.ok(thing)
    return thing
  }
  const create = async (more: 0 | 1) => {
    const network = await within(5 + more, () => first(createNetworks(ctx, { items: [{}] })))
    const networkId = network.id
    const subnet = { networkId, ipVersion: 4, cidr: "10.7.0.0/24" } as const
    await within(10 + more, () => first(createSubnets(ctx, { items: [subnet] })))
    // Makes the project's default group.
    await createPorts(ctx, { items: [{ networkId }] })
    const port = await within(9 + more, () => first(createPorts(ctx, { items: [{ networkId }] })))
    assert.equal(port.fixedIps.length, 1)
    assert.equal(port.securityGroups.length, 1)
    await within(5 + more, () => first(createRouters(ctx, { items: [{}] })))
    const { items } = await listNetworks(ctx, { filters: { routerExternal: ["true"] } })
    const floatingIps = [{ floatingNetworkId: items[0]?.id ?? "" }]
    await within(9 + more, () => first(createFloatingIps(ctx, { items: floatingIps })))
  }
  await create(1)
  const group = { name: "counted" }
  const { id } = await within(11, () => first(createSecurityGroups(ctx, { items: [group] })))
  const rule = { securityGroupId: id, direction: "ingress", protocol: "tcp" } as const
  // One of them looks for a rule that says the same in other words.
  await within(8, () => first(createSecurityGroupRules(ctx, { items: [rule] })))
  const { projectId } = ctx.caller
  await updateNetworkQuota(ctx, { projectId: projectId ?? "", limits })
  const [, made] = await countOf(() => create(0))
  assert.ok(!made.some((text) => text.includes("count(*)")))
})

test("a list is one statement, with a marker two; the quotas of all projects are two", async () => {
  const page = { limit: 2 }
  const { items } = await within(1, () => listNetworks(ctx, { page }))
  await within(2, () => listNetworks(ctx, { page: { ...page, marker: items[0]?.id ?? null } }))
  for (const projectId of ["q1", "q2", "q3"])
    await updateNetworkQuota(ctx, { projectId, limits: { port: 7 } })
  const quotas = await within(2, () => listNetworkQuotas(ctx, {}))
  assert.deepEqual(
    quotas.filter((quota) => quota.limits.port === 7).map((quota) => quota.projectId),
    ["q1", "q2", "q3"],
  )
  assert.equal(quotas.at(-1)?.limits.network, 100)
})

test("the ten-thousandth network costs what the first one did", async () => {
  const { db } = cloud.database
  await sql`insert into network.network (id, project_id, mtu, provider_type, segmentation_id)
    select gen_random_uuid(), 'counted', 1442, 'geneve', g from generate_series(1001, 11000) g
    on conflict do nothing`.execute(db)
  await sql`analyze network.network`.execute(db)
  await within(5, () => createNetworks(ctx, { items: [{}] }))
  const insert = statements.find((text) => text.includes("insert into network.network"))
  assert.ok(insert)
  assert.ok(!insert.includes("segmentation_id + 1"))
})

test("tunnel numbers go on until the last one is given out", async () => {
  const max = 8
  const config = { ...ctx.config, network: { ...ctx.config.network, tunnelIdMax: max } }
  const few = Object.assign(Object.create(ctx) as Ctx, { config, caller: callerOf("few:admin") })
  await sql`delete from network.network where provider_type = 'geneve' and segmentation_id <= ${max}`.execute(
    cloud.database.db,
  )
  await updateNetworkQuota(ctx, { projectId: "few", limits })
  const got: (number | null)[] = []
  for (let n = 0; n < max; n++) {
    const [network] = await createNetworks(few, { items: [{}] })
    got.push(network?.providerSegmentationId ?? null)
  }
  assert.deepEqual(
    got.sort(),
    Array.from({ length: max }, (_, i) => i + 1),
  )
  await assert.rejects(createNetworks(few, { items: [{}] }), { code: "network.network.no_segment_left" })
})

test("many at once do not pass the quota together", async () => {
  await updateNetworkQuota(ctx, { projectId: "burst", limits: { network: 5 } })
  const caller = callerOf("burst:admin")
  const burst = makeCtx(cloud.cloud.platform, caller, "req-burst", cloud.baseUrl)
  const results = await Promise.allSettled(
    Array.from({ length: 24 }, () => createNetworks(burst, { items: [{}] })),
  )
  assert.equal(results.filter((r) => r.status === "fulfilled").length, 5)
  const refused = results.flatMap((r) => (r.status === "rejected" ? [r.reason] : []))
  assert.ok(refused.every((error) => error.code === "quota.exceeded"))
  assert.deepEqual(refused[0].detail, {
    shortages: [{ resource: "network", asked: 1, used: 5, limit: 5 }],
  })
  const both = createNetworks(burst, { items: [{}, {}] })
  await assert.rejects(both, {
    detail: { shortages: [{ resource: "network", asked: 2, used: 5, limit: 5 }] },
  })
})
