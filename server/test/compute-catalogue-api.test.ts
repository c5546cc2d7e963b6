// Flavors and key pairs over HTTP, with words for tokens.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { sql } from "kysely"
import pg from "pg"
import { computeService } from "../src/compute/service.ts"
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

describe("flavors", () => {
  test("from 2.86 on extra specs are some that there are, with values that they can have", async () => {
    const set = (extra_specs: object, version: string, as = admin) =>
      call("POST", "/flavors/42/os-extra_specs", as, { extra_specs }, version)
    const wrong = { "hw:cpu_polcy": "shared" }
    const refused = await set(wrong, "2.86")
    assert.equal(refused.status, 400)
    assert.equal(
      refused.body.badRequest.message,
      "Validation failed; extra spec 'hw:cpu_polcy' does not appear to be a valid extra spec.",
    )
    assert.equal((await set(wrong, "2.86", "p1")).status, 403)
    const put = (value: string, version: string) =>
      call("PUT", "/flavors/42/os-extra_specs/hw:numa_nodes", admin, { "hw:numa_nodes": value }, version)
    assert.equal((await put("0", "2.86")).status, 400)
    assert.equal((await put("1", "2.86")).status, 200)
    assert.equal((await set({ "hw:cpu_policy": "shared", "mine:own": "x" }, "2.86")).status, 200)
    assert.equal((await set(wrong, "2.85")).status, 200)
    for (const key of ["hw:cpu_polcy", "hw:numa_nodes", "hw:cpu_policy", "mine:own"])
      assert.equal((await call("DELETE", `/flavors/42/os-extra_specs/${key}`, admin)).status, 200)
  })

  test("the first ones are there", async () => {
    const { body } = await call("GET", "/flavors/detail", "p1")
    assert.deepEqual(body.flavors.map((f: { id: string }) => f.id).sort(), [
      "1",
      "2",
      "3",
      "4",
      "42",
      "5",
      "84",
    ])
    const nano = body.flavors.find((f: { name: string }) => f.name === "m1.nano")
    assert.equal(nano.ram, 128)
    assert.equal(nano.swap, "")
    assert.equal("description" in nano, false)
  })

  test("a refusal has the words that people search for", async () => {
    const make = (flavor: object) =>
      call("POST", "/flavors", admin, { flavor: { name: "f", ram: 1, vcpus: 1, disk: 1, ...flavor } }, "2.55")
    const long = "x".repeat(300)
    const wrong: [object, RegExp][] = [
      [{ name: long }, /field\/attribute name\. Value: x+…\. 'x+… is too long/],
      [{ vcpus: 0 }, /Invalid input for field\/attribute vcpus\. Value: 0\. 0 is less than the minimum of 1/],
      [{ swap: [true] }, /Value: \[True\]\. \[True\] is not of type 'integer'/],
      [{ wings: 1 }, /Additional properties are not allowed \('wings' was unexpected\)/],
      [{ ram: undefined }, /'ram' is a required property/],
    ]
    for (const [flavor, words] of wrong) {
      const reply = await make(flavor)
      assert.equal(reply.status, 400)
      assert.match(reply.body.badRequest.message, words)
    }
  })

  test("access to a public flavor: no error before 2.7, one since", async () => {
    await addProject("anybody")
    const add = (version: string) =>
      call("POST", "/flavors/42/action", admin, { addTenantAccess: { tenant: "anybody" } }, version)
    assert.equal((await add("2.7")).status, 409)
    assert.equal((await add("2.6")).status, 200)
    await call("POST", "/flavors/42/action", admin, { removeTenantAccess: { tenant: "anybody" } }, "2.6")
  })

  test("a list is one statement", async (t) => {
    const { mock } = t.mock.method(pg.Client.prototype, "query")
    await call("GET", "/flavors/detail", "p1", undefined, "2.61")
    const statements = mock.calls.map((c) => String(c.arguments[0])).filter((text) => text.includes("flavor"))
    assert.equal(statements.length, 1, statements.join("\n"))
  })

  test("a private one is seen by its projects only", async () => {
    await addProject("friend")
    const flavor = {
      name: "hidden",
      id: "h1",
      ram: 64,
      vcpus: 1,
      disk: 0,
      "os-flavor-access:is_public": false,
    }
    assert.equal((await call("POST", "/flavors", "p1", { flavor })).status, 403)
    assert.equal((await call("DELETE", "/flavors/none", "p1")).status, 403)
    assert.equal((await call("POST", "/flavors", admin, { flavor })).status, 200)
    assert.equal((await call("POST", "/flavors", admin, { flavor })).status, 409)
    assert.equal((await call("GET", "/flavors/h1", "friend")).status, 404)
    const nobody = await call("POST", "/flavors/h1/action", admin, { addTenantAccess: { tenant: "nobody" } })
    assert.equal(nobody.status, 400)
    const added = await call("POST", "/flavors/h1/action", admin, { addTenantAccess: { tenant: "friend" } })
    assert.deepEqual(added.body, { flavor_access: [{ flavor_id: "h1", tenant_id: "friend" }] })
    assert.equal((await call("GET", "/flavors/h1", "friend")).status, 200)
    assert.equal((await call("GET", "/flavors/h1", "p1")).status, 404)
    const list = await call("GET", "/flavors?is_public=none", "p1")
    assert.ok(!list.body.flavors.some((f: { id: string }) => f.id === "h1"))
  })

  test("pages follow each other, and unknown parameters are refused from 2.75 on", async () => {
    const first = await call("GET", "/flavors?limit=2&sort_key=memory_mb", "p1")
    assert.deepEqual(
      first.body.flavors.map((f: { name: string }) => f.name),
      ["m1.nano", "m1.micro"],
    )
    const [link] = first.body.flavors_links
    const next = await call("GET", `/flavors${new URL(link.href).search}`, "p1")
    assert.deepEqual(
      next.body.flavors.map((f: { name: string }) => f.name),
      ["m1.tiny", "m1.small"],
    )
    const ids = async (query: string) =>
      (await call("GET", `/flavors?${query}`, "p1")).body.flavors.map(({ id }: { id: string }) => id)
    const upwards = await ids("sort_key=flavorid")
    assert.deepEqual(upwards, [...upwards].sort(), "a key alone: upwards")
    assert.deepEqual(await ids(""), upwards)
    assert.deepEqual(await ids("sort_dir=desc"), [...upwards].reverse())
    const none = await call("GET", "/flavors?minRam=2147483648", "p1")
    assert.deepEqual(none.body.flavors, [], "more than a column may hold")
    assert.equal((await call("GET", "/flavors?color=red", "p1", undefined, "2.74")).status, 200)
    assert.equal((await call("GET", "/flavors?color=red", "p1", undefined, "2.75")).status, 400)
  })
})

describe("key pairs", () => {
  test("of type x509 are made too", async () => {
    const made = await call("POST", "/os-keypairs", "p1", { keypair: { name: "x", type: "x509" } }, "2.2")
    assert.equal(made.status, 201)
    assert.match(made.body.keypair.public_key, /^-----BEGIN CERTIFICATE/)
    assert.match(made.body.keypair.fingerprint, /^([0-9a-f]{2}:){19}[0-9a-f]{2}$/)
    await call("DELETE", "/os-keypairs/x", "p1")
  })

  test("are made, shown, listed and removed", async () => {
    const made = await call("POST", "/os-keypairs", "p1", { keypair: { name: "k1" } }, "2.2")
    assert.equal(made.status, 201)
    assert.match(made.body.keypair.private_key, /PRIVATE KEY/)
    const again = await call("POST", "/os-keypairs", "p1", { keypair: { name: "k1" } })
    assert.equal(again.status, 409)
    assert.equal((await call("GET", "/os-keypairs/k1", "p2")).status, 404)
    const { body } = await call("GET", "/os-keypairs", "p1")
    assert.deepEqual(
      body.keypairs.map((k: { keypair: { name: string } }) => k.keypair.name),
      ["k1"],
    )
    assert.equal((await call("DELETE", "/os-keypairs/k1", "p1")).status, 202)
    assert.equal((await call("DELETE", "/os-keypairs/k1", "p1")).status, 404)
  })
})
