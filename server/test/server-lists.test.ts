// Lists of servers: filters, order, pages, what each caller may ask.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
const ids: Record<string, string> = {}
before(async () => {
  c = await startServerCloud()
  // One statement makes three with the same time of creation.
  const server = { name: "web", imageRef: c.imageId, flavorRef: "42", networks: "auto", tags: ["x", "y"] }
  await c.call("POST", "/servers", { server: { ...server, min_count: 3, return_reservation_id: true } })
  ids.db = await c.create({ name: "db", tags: ["y"] })
  ids.gone = await c.create({ name: "gone" })
  for (const s of (await c.call("GET", "/servers")).body.servers) {
    ids[s.name] = s.id
    await c.reaches(s.id, "ACTIVE")
  }
  await c.call("DELETE", `/servers/${ids.gone}`)
  await c.isGone(ids.gone)
  await c.act(ids.db, { "os-stop": null })
  await c.reaches(ids.db, "SHUTOFF")
})
after(async () => {
  await c[Symbol.asyncDispose]()
})

async function names(query: string, how: { version?: string; token?: string } = {}): Promise<string[]> {
  const reply = await c.call("GET", `/servers${query}`, undefined, how)
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  return reply.body.servers.map((s: { name: string }) => s.name)
}

test("filters", async () => {
  const all = ["db", "web-1", "web-2", "web-3"]
  assert.deepEqual((await names("")).sort(), all)
  assert.deepEqual((await names("?name=web")).sort(), all.slice(1))
  assert.deepEqual((await names("?name=^db$")).sort(), ["db"])
  assert.deepEqual(await names("?status=SHUTOFF"), ["db"])
  assert.deepEqual((await names("?status=ACTIVE")).sort(), all.slice(1))
  assert.deepEqual(await names("?status=nonsense", { version: "2.1" }), [])
  assert.deepEqual((await names(`?image=${c.imageId}`)).length, 4)
  assert.deepEqual(await names("?image=11111111-0000-4000-8000-000000000000"), [])
  assert.deepEqual((await names("?flavor=42")).length, 4)
  assert.deepEqual(await names("?flavor=1"), [])
  assert.deepEqual((await names("?tags=x,y")).sort(), all.slice(1))
  assert.deepEqual((await names("?tags-any=y")).length, 4)
  assert.deepEqual(await names("?not-tags=x,y"), ["db"])
  assert.deepEqual(await names("?not-tags-any=x"), ["db"])
  assert.deepEqual((await names("?locked=false")).length, 4)
  const address = (await c.show(ids.db ?? "")).addresses.private[0].addr
  assert.deepEqual(await names(`?ip=^${address.replaceAll(".", "\\.")}$`), ["db"])
  assert.deepEqual((await names("?ip=10.")).length, 4)
})

test("a parameter that Nova does not have is passed over before 2.75, though other APIs have it", async () => {
  for (const path of ["/servers", "/flavors"]) {
    const reply = await c.call("GET", `${path}?sort=nonsense`, undefined, { version: "2.74" })
    assert.equal(reply.status, 200, path)
  }
})

test("what a server shows as the time of its change finds it, before and since", async () => {
  const { updated, name } = await c.show(ids.db ?? "")
  assert.ok((await names(`?changes-before=${updated}`, { version: "2.66" })).includes(name))
  assert.ok((await names(`?changes-since=${updated}`, { version: "2.66" })).includes(name))
  const before = new Date(Date.parse(updated) - 1_000).toISOString()
  assert.ok(!(await names(`?changes-before=${before}`, { version: "2.66" })).includes(name))
})

test("a regular expression that takes long, or may, is refused", async () => {
  for (const query of ["name=^(.%2B)b\\1$", "ip=(x%3F){250}y", `hostname=${"x".repeat(300)}`, "name=["]) {
    const reply = await c.call("GET", `/servers?${query}`)
    assert.equal(reply.status, 400, query)
    assert.match(
      reply.body.badRequest.message,
      /(name|ip).*(back references|at most|not a regular expression)/s,
    )
  }
  assert.deepEqual((await names("?name=^(web-1|db)$")).sort(), ["db", "web-1"])
})

test("filters that only administrators may use are dropped for others", async () => {
  assert.equal((await names("?host=nowhere", { version: "2.1" })).length, 4)
  assert.deepEqual(await names("?all_tenants=1&host=nowhere", { token: c.admin }), [])
  assert.equal((await names("?all_tenants=1&host=host1", { token: c.admin })).length, 4)
  assert.equal((await names("?deleted=true", { version: "2.1" })).length, 4)
  assert.deepEqual(await names("?all_tenants=1&deleted=true", { token: c.admin }), ["gone"])
})

test("bad filters are refused", async () => {
  const wrong = [
    "?limit=-1",
    "?limit=x",
    "?marker=11111111-0000-4000-8000-000000000000",
    "?name=[",
    "?changes-since=yesterday",
    "?sort_key=nonsense",
    "?sort_key=uuid&sort_dir=asc&sort_dir=desc",
    "?sort_dir=asc&sort_dir=desc",
    "?status=nonsense",
    "?nonsense=1",
  ]
  for (const query of wrong) assert.equal((await c.call("GET", `/servers${query}`)).status, 400, query)
  assert.equal((await c.call("GET", "/servers?sort_key=host")).status, 403)
  assert.equal((await c.call("GET", "/servers?status=deleted")).status, 403)
})

test("what changed, deleted servers too", async () => {
  assert.deepEqual((await names("?changes-since=2020-01-01T00:00:00Z")).length, 5)
  assert.deepEqual(await names("?changes-since=2999-01-01T00:00:00Z"), [])
  assert.deepEqual(await names("?changes-before=2020-01-01T00:00:00Z"), [])
})

test("a key alone sorts downwards, and a direction alone the times", async () => {
  const all = ["web-3", "web-2", "web-1", "db"]
  assert.deepEqual(await names("?sort_key=display_name"), all)
  assert.deepEqual(await names("?sort_key=display_name&sort_key=uuid&sort_dir=asc"), [...all].reverse())
  assert.equal((await names("")).at(0), "db")
  assert.equal((await names("?sort_dir=asc")).at(-1), "db")
})

test("pages name every server once, also where times are equal", async () => {
  for (const order of ["", "&sort_key=display_name&sort_dir=asc", "&sort_key=created_at&sort_dir=asc"]) {
    const seen: string[] = []
    let path: string | undefined = `/servers?limit=1${order}`
    for (let pages = 0; path !== undefined && pages < 10; pages++) {
      const { body } = await c.call("GET", path)
      seen.push(...body.servers.map((s: { name: string }) => s.name))
      const next: string | undefined = body.servers_links?.[0]?.href
      path = next === undefined ? undefined : next.slice(next.indexOf("/servers"))
    }
    assert.deepEqual([...seen].sort(), ["db", "web-1", "web-2", "web-3"], order)
    if (order.includes("display_name")) assert.deepEqual(seen, [...seen].sort())
  }
  assert.deepEqual(await names("?limit=0"), [])
  assert.equal((await names("?limit=100")).length, 4)
})
