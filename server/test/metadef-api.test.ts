import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { createNamespace, metadefItemExists, setMetadefTags } from "../src/image/index.ts"
import { imageService } from "../src/image/service.ts"
import { statementsOf } from "./count-statements.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
before(async () => {
  cloud = await startServices({ services: [imageService] })
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
})

const send = (method: string, path: string, body?: unknown, as = "admin:admin", headers = {}) =>
  cloud.request(method, `/image/v2/metadefs${path}`, { as, body, headers })

test("a namespace with all its parts, seen by whom it may concern", async () => {
  const made = await send("POST", "/namespaces", {
    namespace: "OS::Test::Whole",
    display_name: "Whole",
    visibility: "private",
    protected: true,
    resource_type_associations: [{ name: "OS::Glance::Image", prefix: "hw_" }],
    properties: { cores: { title: "Cores", type: "integer" } },
    objects: [{ name: "o", required: ["a"], properties: { a: { title: "A", type: "string" } } }],
    tags: [{ name: "t1" }, { name: "t2" }],
  })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const path = "/namespaces/OS::Test::Whole"
  const { body } = await send("GET", path)
  assert.deepEqual(body.properties, { cores: { title: "Cores", type: "integer" } })
  assert.deepEqual(body.tags, [{ name: "t1" }, { name: "t2" }])
  assert.equal(body.owner, "admin")
  const onImages = await send("GET", `${path}?resource_type=OS::Glance::Image`)
  assert.deepEqual(Object.keys(onImages.body.properties), ["hw_cores"])
  assert.deepEqual(onImages.body.objects[0].required, ["hw_a"])
  assert.equal((await send("GET", path, undefined, "p1")).status, 404)
  assert.equal((await send("POST", "/namespaces", { namespace: "OS::Test::Whole" })).status, 409)
  assert.equal((await send("POST", "/namespaces", { namespace: "x" }, "p1")).status, 403)
  assert.equal((await send("POST", "/namespaces", { name: "x" })).status, 400)
  assert.equal((await send("DELETE", path)).status, 403)
  const open = { namespace: "OS::Test::Renamed", visibility: "public", protected: false }
  assert.equal((await send("PUT", path, open)).body.namespace, "OS::Test::Renamed")
  const renamed = "/namespaces/OS::Test::Renamed"
  assert.equal((await send("GET", renamed, undefined, "p1:reader")).status, 200)
  assert.equal((await send("DELETE", renamed, undefined, "p1")).status, 403)
  assert.equal((await send("DELETE", renamed)).status, 204)
  assert.equal((await send("GET", renamed)).status, 404)
})

test("objects, properties and tags come, change and go", async () => {
  const ns = "/namespaces/parts"
  await send("POST", "/namespaces", { namespace: "parts" })
  for (const [list, body] of [
    ["objects", { name: "a" }],
    ["properties", { name: "a", title: "A", type: "string" }],
  ] as const) {
    assert.equal((await send("POST", `${ns}/${list}`, body)).status, 201)
    assert.equal((await send("POST", `${ns}/${list}`, body)).status, 409)
    assert.equal((await send("GET", `${ns}/${list}/a`)).body.name, "a")
    assert.equal((await send("PUT", `${ns}/${list}/a`, { ...body, name: "b" })).body.name, "b")
    assert.equal((await send("GET", `${ns}/${list}/a`)).status, 404)
    assert.equal((await send("DELETE", `${ns}/${list}/b`)).status, 204)
    assert.equal((await send("DELETE", `${ns}/${list}/b`)).status, 404)
  }
  assert.equal((await send("POST", `${ns}/tags`, { tags: [{ name: "x" }, { name: "y" }] })).status, 201)
  await send("POST", `${ns}/tags`, { tags: [{ name: "z" }] }, "admin:admin", { "x-openstack-append": "true" })
  const tags = async () => (await send("GET", `${ns}/tags`)).body.tags.map((t: { name: string }) => t.name)
  assert.deepEqual((await tags()).sort(), ["x", "y", "z"])
  assert.equal((await send("POST", `${ns}/tags/one`)).status, 201)
  assert.equal((await send("PUT", `${ns}/tags/one`, { name: "two" })).body.name, "two")
  assert.equal((await send("DELETE", `${ns}/tags`)).status, 204)
  assert.deepEqual(await tags(), [])
})

test("resource types", async () => {
  await send("POST", "/namespaces", { namespace: "typed" })
  const types = (await send("GET", "/resource_types")).body.resource_types
  assert.ok(types.some((t: { name: string }) => t.name === "OS::Nova::Flavor"))
  const path = "/namespaces/typed/resource_types"
  assert.equal((await send("POST", path, { name: "OS::Nova::Flavor" })).status, 201)
  assert.equal((await send("POST", path, { name: "OS::Nova::Flavor" })).status, 409)
  assert.equal((await send("GET", path)).body.resource_type_associations.length, 1)
  const listed = await send("GET", "/namespaces?resource_types=OS::Nova::Flavor")
  assert.deepEqual(
    listed.body.namespaces.map((n: { namespace: string }) => n.namespace),
    ["typed"],
  )
  assert.equal((await send("DELETE", `${path}/OS::Nova::Flavor`)).status, 204)
  assert.equal((await send("DELETE", `${path}/OS::Nova::Flavor`)).status, 404)
})

test("namespaces come in pages", async () => {
  for (const name of ["p1", "p2", "p3"])
    await send("POST", "/namespaces", { namespace: name, visibility: "public" })
  const seen: string[] = []
  let path: string | undefined =
    "/v2/metadefs/namespaces?limit=2&sort_key=namespace&sort_dir=asc&visibility=public"
  while (path) {
    const { body } = await cloud.request("GET", `/image${path}`, { as: "p1" })
    seen.push(...body.namespaces.map((n: { namespace: string }) => n.namespace))
    path = body.next
  }
  assert.deepEqual(seen, ["p1", "p2", "p3"])
  assert.equal((await send("GET", "/namespaces?sort_key=color")).status, 400)
})

test("any number of items comes in few statements", async () => {
  const ctx = cloud.ctx("admin:admin")
  const names = Array.from({ length: 2_500 }, (_, n) => `t${n}`)
  const items = names.map((name) => ({ name, definition: {} }))
  const associations = names.map((resourceType) => ({ resourceType, prefix: null, propertiesTarget: null }))
  const about = { name: "many", displayName: null, description: null, isProtected: false }
  const made = await statementsOf(() =>
    createNamespace(ctx, {
      ...{ ...about, visibility: "private", projectId: "admin" },
      ...{ objects: items, properties: items, tags: items, associations },
    }),
  )
  assert.ok(made.length < 40, String(made.length))
  const set = await statementsOf(() => setMetadefTags(ctx, { namespace: "many", names, isAppend: false }))
  assert.ok(set.length < 15, String(set.length))
  const told = (await send("GET", "/namespaces/many/tags")).body.tags
  assert.equal(told.length, names.length)
  for (const again of [
    ["new", "t5"],
    ["new", "new"],
    [...names.map((name) => `other-${name}`), "t0"],
  ]) {
    const input = { namespace: "many", names: again, isAppend: true }
    await assert.rejects(setMetadefTags(ctx, input), metadefItemExists.is)
  }
  const [first] = associations
  assert.ok(first)
  assert.equal(
    (await send("POST", "/namespaces/many/resource_types", { name: first.resourceType })).status,
    409,
  )
})
