// What lists of block storage may be asked, over HTTP: filters, orders, counts, and what nobody can ask.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

let c: ServerCloud
/** `plain` and `made`, of which the second is made from a snapshot of the first. */
let plain: string
let made: string
let snapshot: string

async function call(method: string, path: string, body?: Body, token = c.demo, version = "3.70") {
  return await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": `volume ${version}` },
    ...(body === undefined ? {} : { body }),
  })
}

async function ok(
  method: string,
  path: string,
  body?: Body,
  token = c.demo,
  version = "3.70",
): Promise<Body> {
  const reply = await call(method, path, body, token, version)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

async function settled(kind: string, id: string): Promise<Body> {
  return await eventually(`${kind} to be available`, async () => {
    const found = (await ok("GET", `/${kind}s/${id}`))[kind]
    return found.status === "available" && found
  })
}

async function make(kind: string, wish: Body): Promise<string> {
  const id = (await ok("POST", `/${kind}s`, { [kind]: wish }))[kind].id
  await settled(kind, id)
  return id
}

before(async () => {
  c = await startServerCloud()
  plain = await make("volume", { size: 1, name: "plain", description: "as it is" })
  snapshot = await make("snapshot", {
    volume_id: plain,
    name: "s",
    description: "of it",
    metadata: { k: "v" },
  })
  made = await make("volume", { size: 2, name: "made", snapshot_id: snapshot })
})
after(() => c[Symbol.asyncDispose]())

/** The names that a list has, in order. */
async function names(list: string, query: string, token = c.admin, version = "3.70"): Promise<string[]> {
  const body = await ok("GET", `/${list}?all_tenants=1&${query}`, undefined, token, version)
  return body[list.replace(/\/.*/, "").replace("volume-", "")].map(({ name }: Body) => name)
}

test("volumes are found by what they are made of, by whom, and what becomes of them", async () => {
  const { user_id: userId } = (await ok("GET", `/volumes/${plain}`)).volume
  for (const [query, expected] of [
    [`user_id=${userId}`, ["made", "plain"]],
    ["user_id=nobody", []],
    [`snapshot_id=${snapshot}`, ["made"]],
    [`source_volid=${plain}`, []],
    ["migration_status=error", []],
    ["replication_status=error", []],
    ["attach_status=attached", []],
    ["attach_status=detached", ["made", "plain"]],
    ["consumes_quota=true", ["made", "plain"]],
    ["consumes_quota=false", []],
    ["multiattach=true", []],
    ["description=as+it+is", ["plain"]],
    ["display_description=as+it+is", ["plain"]],
    ["glance_metadata={'k':'v'}", []],
    ["bootable=false&size=2", ["made"]],
  ] as const) {
    assert.deepEqual(await names("volumes", query), expected, query)
    assert.deepEqual(await names("volumes/detail", query), expected, query)
    assert.deepEqual(await names("volumes", query, c.demo), expected, `${query} of a user`)
  }
})

test("snapshots and transfers are found by what is said of them", async () => {
  for (const [query, expected] of [
    ["description=of+it", ["s"]],
    ["size=1", ["s"]],
    ["size=2", []],
    ["user_id=nobody", []],
    ["metadata={'k':'v'}", ["s"]],
    ["metadata={'k':'w'}", []],
    ["availability_zone=nova", ["s"]],
    ["availability_zone=mars", []],
    ["consumes_quota=false", []],
  ] as const)
    assert.deepEqual(await names("snapshots", query), expected, query)
  await ok("POST", "/volume-transfers", { transfer: { volume_id: made, name: "t" } })
  for (const [query, expected] of [
    ["name=t", ["t"]],
    ["name=x", []],
    [`volume_id=${made}`, ["t"]],
    [`volume_id=${plain}`, []],
    ["project_id=nobody", []],
  ] as const)
    assert.deepEqual(await names("volume-transfers", query), expected, query)
})

const lists = [
  ...["volumes", "volumes/detail", "snapshots", "snapshots/detail", "backups", "backups/detail"],
  ...["volume-transfers", "volume-transfers/detail", "groups", "groups/detail"],
  ...["group_snapshots", "group_snapshots/detail", "attachments", "attachments/detail", "messages"],
]

test("what nobody can filter by is refused, and is passed over for users of old versions", async () => {
  for (const list of lists) {
    for (const token of [c.admin, c.demo]) {
      const { status, body } = await call("GET", `/${list}?bogus=1&all_tenants=1&name~=p`, undefined, token)
      assert.equal(status, 400, list)
      assert.match(body.badRequest.message, /^Invalid filters bogus,name~ are found in query options\.$/)
      await ok("GET", `/${list}?all_tenants=1&limit=1&sort=created_at:asc`, undefined, token)
    }
  }
  for (const list of ["volumes", "snapshots", "backups", "groups", "messages"]) {
    await ok("GET", `/${list}?bogus=1`, undefined, c.demo, "3.30")
    const { status } = await call("GET", `/${list}?bogus=1`, undefined, c.admin, "3.30")
    assert.equal(status, 400, `${list}: to an administrator all would look like those that were asked for`)
  }
  assert.equal((await call("GET", "/volumes?consumes_quota=1", undefined, c.demo, "3.64")).status, 400)
  assert.equal((await call("GET", "/volumes?consumes_quota=maybe")).status, 400)
})

test("administrators list any project's", async () => {
  for (const list of lists) await ok("GET", `/${list}?all_tenants=1&project_id=p`, undefined, c.admin)
})

test("where volumes lie only administrators can ask, in the words that they are shown", async () => {
  const { volume } = await ok("GET", `/volumes/${plain}`, undefined, c.admin)
  const shown = volume["os-vol-host-attr:host"]
  const [host, backend] = shown.split(/[@#]/)
  for (const query of [`host=${host}`, `host=${host}@${backend}`, `host=${encodeURIComponent(shown)}`]) {
    assert.deepEqual(await names("volumes", query), ["made", "plain"], query)
    assert.deepEqual(await names("snapshots", query), ["s"], query)
    for (const list of ["volumes", "snapshots"]) {
      assert.equal((await call("GET", `/${list}?${query}`)).status, 400, query)
      await ok("GET", `/${list}?${query}`, undefined, c.demo, "3.30")
    }
  }
  assert.deepEqual(await names("volumes", `host=nowhere&host=${host}`), ["made", "plain"])
  for (const other of ["nowhere", `${host}@other`, `${host}@${backend}%23other`, `@${backend}`, `${host}@`])
    for (const list of ["volumes", "snapshots"])
      assert.deepEqual(await names(list, `host=${other}`), [], other)
})

test("volumes are found by when they were made and changed", async () => {
  const { created_at: at } = (await ok("GET", `/volumes/${plain}`)).volume
  const second = at.slice(0, 19)
  for (const [query, expected] of [
    ["created_at=gt:2000-01-01T00:00:00", ["made", "plain"]],
    ["created_at=gt:2090-01-01T00:00:00", []],
    ["created_at=gte:2000-01-01T00:00:00Z,lt:2000-01-02T00:00:00%2B00:00", []],
    ["created_at=gt:2000-01-01T00:00:00,lt:2090-01-01", ["made", "plain"]],
    [`created_at=lte:${second}&name=plain`, ["plain"]],
    [`created_at=eq:${second}&name=plain`, ["plain"]],
    [`created_at=neq:${second}&name=plain`, []],
    ["updated_at=lt:2000-01-01T00:00:00", []],
    ["updated_at=gt:2000-01-01T00:00:00", ["made", "plain"]],
  ] as const) {
    assert.deepEqual(await names("volumes", query), expected, query)
    assert.deepEqual(await names("volumes/detail", query, c.demo), expected, query)
  }
  for (const wrong of [
    "2030-01-01T00:00:00",
    "above:2030-01-01",
    "gt:yesterday",
    "gt",
    "gt:",
    "",
    "gt:2030-13-01",
  ])
    for (const name of ["created_at", "updated_at"])
      assert.equal((await call("GET", `/volumes?${name}=${wrong}`)).status, 400, `${name}=${wrong}`)
  assert.equal(
    (await call("GET", "/volumes?created_at=gt:2030-01-01", undefined, c.demo, "3.59")).status,
    400,
  )
})

test("a list says how many it has on all pages, where that is asked", async () => {
  for (const [list, query, count] of [
    ["volumes", "limit=1", 2],
    ["volumes/detail", "limit=1&name=plain", 1],
    ["volumes", `limit=1&marker=${made}&offset=1`, 2],
    ["volumes", "metadata={'k':'v'}", 0],
    ["snapshots", "limit=0", 1],
    ["snapshots/detail", "name=nobody", 0],
    ["backups", "limit=1", 0],
  ] as const) {
    const body = await ok("GET", `/${list}?with_count=true&${query}`)
    assert.equal(body.count, count, `${list}?${query}`)
    assert.equal((await ok("GET", `/${list}?with_count=false&${query}`)).count, undefined)
    assert.equal((await ok("GET", `/${list}?${query}`)).count, undefined)
    assert.equal((await call("GET", `/${list}?with_count=maybe`)).status, 400)
    assert.equal((await call("GET", `/${list}?with_count=true`, undefined, c.demo, "3.44")).status, 400)
    assert.equal((await ok("GET", `/${list}?with_count=true`, undefined, c.demo, "3.30")).count, undefined)
  }
})

test("volumes are sorted by zone, by whether they boot, and by administrators by where they lie", async () => {
  for (const key of ["availability_zone", "bootable", "host"])
    for (const [direction, expected] of [
      ["asc", ["plain", "made"]],
      ["desc", ["made", "plain"]],
    ] as const) {
      const query = `sort=${key}:${direction},created_at:${direction}`
      assert.deepEqual(await names("volumes", query), expected, query)
      const found = await call("GET", `/volumes?${query}`)
      assert.equal(found.status, key === "host" ? 400 : 200, query)
    }
  const ids = async (query: string) =>
    (await ok("GET", `/volumes?${query}`)).volumes.map(({ id }: Body) => id)
  const sorted = [plain, made].sort()
  assert.deepEqual(await ids("sort=availability_zone:asc"), sorted, "what is equal is sorted by id")
  assert.deepEqual(await ids(`sort=bootable:asc&marker=${sorted[0]}`), sorted.slice(1))
  for (const key of ["size", "updated_at"])
    assert.deepEqual(await names("snapshots", `sort_key=${key}`), ["s"])
  assert.equal((await call("GET", "/volumes?sort=reference:asc")).status, 400, "of data that are no volumes")
})

test("the filters that are told are those that lists take, and no part of a text is one", async () => {
  const { resource_filters: told } = await ok("GET", "/resource_filters")
  const filters = Object.fromEntries(told.map((each: Body) => [each.resource, each.filters]))
  // What Cinder's own configuration has.
  for (const [resource, some] of Object.entries({
    volume:
      "name status metadata bootable migration_status availability_zone group_id size created_at updated_at",
    backup: "name status volume_id",
    snapshot: "name status volume_id metadata availability_zone",
    group: "name",
    group_snapshot: "name status group_id",
    attachment: "volume_id status instance_id",
    message: "resource_uuid resource_type event_id request_id message_level",
  }))
    for (const name of some.split(" ")) assert.ok(filters[resource].includes(name), `${resource}: ${name}`)
  const values: Record<string, string> = {
    metadata: "{}",
    glance_metadata: "{}",
    bootable: "0",
    multiattach: "0",
  }
  const paths: Record<string, string> = { pool: "scheduler-stats/get_pools", volume_type: "types" }
  for (const [resource, names] of Object.entries<string[]>(filters)) {
    const path = paths[resource] ?? `${resource}s`
    for (const name of names) {
      const value = /_at$/.test(name) ? "gt:2030-01-01" : (values[name] ?? "1")
      const token = resource === "pool" ? c.admin : c.demo
      await ok("GET", `/${path}?${name}=${value}`, undefined, token)
      if (resource === "pool" || resource === "volume_type") continue
      const like = await call("GET", `/${path}?${name}~=${value}`)
      assert.equal(like.status, 400, `${path}: ${name}~`)
    }
  }
  const { resource_filters: one } = await ok("GET", "/resource_filters?resource=backup")
  assert.deepEqual(one, [{ resource: "backup", filters: filters.backup }])
})

test("names and descriptions are kept without the blanks around them", async () => {
  const blank = { name: "  two words ", description: "\tof it\n" }
  const kept = ["two words", "of it"]
  const shown = ({ name, description }: Body) => [name, description]
  const take = { volume_id: plain, force: true }
  const volume = await make("volume", { size: 1, ...blank })
  const snapshot = await make("snapshot", { ...take, ...blank })
  const backup = await make("backup", { ...take, ...blank })
  for (const [kind, id] of [
    ["volume", volume],
    ["snapshot", snapshot],
    ["backup", backup],
  ] as const) {
    const path = `/${kind}s/${id}`
    assert.deepEqual(shown((await ok("GET", path))[kind]), kept, kind)
    await ok("PUT", path, { [kind]: { name: " new  name " } })
    assert.deepEqual(shown((await ok("GET", path))[kind]), ["new  name", "of it"], kind)
    await ok("PUT", path, { [kind]: { description: "   " } })
    assert.deepEqual(shown((await ok("GET", path))[kind]), ["new  name", ""], kind)
  }
  const old = { display_name: " old ", display_description: " d " }
  const { volume: older } = await ok("PUT", `/volumes/${volume}`, { volume: old })
  assert.deepEqual(shown(older), ["old", "d"])
  const { transfer } = await ok("POST", "/volume-transfers", { transfer: { volume_id: volume, name: " t " } })
  assert.equal(transfer.name, "t")
})
