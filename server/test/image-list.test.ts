import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { imageService } from "../src/image/service.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
const images = "/image/v2/images"
/** Name → id. */
const ids: Record<string, string> = {}

async function add(name: string, attributes: Record<string, unknown>, data?: string): Promise<void> {
  const { body, status } = await cloud.request("POST", images, { as: "p1", body: { name, ...attributes } })
  assert.equal(status, 201)
  ids[name] = body.id
  if (data === undefined) return
  const put = await cloud.request("PUT", `${images}/${body.id}/file`, { as: "p1", body: Buffer.from(data) })
  assert.equal(put.status, 204)
}

before(async () => {
  cloud = await startServices({ services: [imageService] })
  const raw = { disk_format: "raw", container_format: "bare" }
  await add("a", { ...raw, tags: ["x", "y"], os_distro: "debian", min_ram: 64 }, "1")
  await add("b", { ...raw, tags: ["x"], os_distro: "fedora" }, "22")
  await add("c", { ...raw, disk_format: "aki", container_format: "aki", protected: true }, "333")
  await add('quoted, "name"', { disk_format: "qcow2", container_format: "bare" })
  await add("hidden", { os_hidden: true })
  await add("none", {})
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
})

async function names(query: string, as = "p1"): Promise<string[]> {
  const { status, body } = await cloud.request("GET", `${images}?${query}`, { as })
  assert.equal(status, 200, JSON.stringify(body))
  return body.images.map((i: { name: string }) => i.name)
}

const sorted = async (query: string) => (await names(query)).sort()
const refused = async (query: string) =>
  (await cloud.request("GET", `${images}?${query}`, { as: "p1" })).status

describe("filters", () => {
  test("by attributes", async () => {
    assert.deepEqual(await sorted("name=a"), ["a"])
    assert.deepEqual(await sorted("status=active"), ["a", "b", "c"])
    assert.deepEqual(await sorted("disk_format=aki"), ["c"])
    assert.deepEqual(await sorted("container_format=aki&status=active"), ["c"])
    assert.deepEqual(await sorted("owner=p1&status=active"), ["a", "b", "c"])
    assert.deepEqual(await sorted("owner=p2"), [])
    assert.deepEqual(await sorted("protected=true"), ["c"])
    assert.deepEqual(await sorted("os_hidden=true"), ["hidden"])
    assert.deepEqual(await sorted(`id=${ids.b}`), ["b"])
    assert.deepEqual(await sorted("min_ram=64"), ["a"])
    assert.deepEqual(await sorted("min_ram=2147483648"), [])
    assert.deepEqual(await sorted("checksum=c4ca4238a0b923820dcc509a6f75849b"), ["a"])
  })

  test("by size, tags and properties", async () => {
    assert.deepEqual(await sorted("size_min=2"), ["b", "c"])
    assert.deepEqual(await sorted("size_min=2&size_max=2"), ["b"])
    assert.deepEqual(await sorted("size=3"), ["c"])
    assert.deepEqual(await sorted("tag=x"), ["a", "b"])
    assert.deepEqual(await sorted("tag=x&tag=y"), ["a"])
    assert.deepEqual(await sorted("os_distro=debian"), ["a"])
    assert.deepEqual(await sorted("os_distro=other"), [])
  })

  test("by one of several values, with commas in quotes", async () => {
    assert.deepEqual(await sorted("name=in:a,c"), ["a", "c"])
    const quoted = encodeURIComponent('in:"quoted, \\"name\\"",b')
    assert.deepEqual(await sorted(`name=${quoted}`), ["b"], "a backslash belongs to the value, as in Glance")
    assert.deepEqual(await sorted("disk_format=in:aki,qcow2"), ["c", 'quoted, "name"'])
    assert.deepEqual(await sorted(`id=in:${ids.a},${ids.b}`), ["a", "b"])
    assert.equal(await refused("name=in:%22a"), 400)
    assert.equal(await refused("name=like:a"), 400)
  })

  test("by time", async () => {
    assert.equal((await names("created_at=gt:2001-01-01T00:00:00Z")).length, 5)
    assert.equal((await names("created_at=lt:2001-01-01")).length, 0)
    const { body } = await cloud.request("GET", `${images}/${ids.a}`, { as: "p1" })
    assert.ok((await names(`created_at=${body.created_at}`)).includes("a"))
    assert.ok((await names(`created_at=gte:${body.created_at}`)).includes("a"))
    assert.ok(!(await names(`created_at=neq:${body.created_at}`)).includes("a"))
    assert.equal(await refused("created_at=gt:yesterday"), 400)
    assert.equal(await refused("created_at=about:2001-01-01"), 400)
  })

  test("what cannot be meant is refused", async () => {
    for (const query of [
      "size_min=big",
      "size=big",
      "visibility=secret",
      "protected=maybe",
      "os_hidden=maybe",
      "member_status=gone",
      "changes-since=2001-01-01",
      "limit=-1",
      "limit=x",
      "marker=x",
      `marker=${newUuid()}`,
      "sort_key=color",
      "sort=name:up",
      "sort=name&sort_key=size",
      "sort_key=name&sort_key=size&sort_key=id&sort_dir=asc&sort_dir=desc",
    ])
      assert.equal(await refused(query), 400, query)
  })
})

describe("order and pages", () => {
  test("newest first when nothing is said", async () => {
    assert.deepEqual(await names(""), ["none", 'quoted, "name"', "c", "b", "a"])
  })

  test("by several keys, nulls as the smallest", async () => {
    assert.deepEqual(await names("sort=size:desc,name:asc"), ["c", "b", "a", "none", 'quoted, "name"'])
    assert.deepEqual(await names("sort=size:asc,name:desc"), ['quoted, "name"', "none", "a", "b", "c"])
    assert.deepEqual(await names("sort_key=name&sort_dir=asc"), ["a", "b", "c", "none", 'quoted, "name"'])
    assert.deepEqual(
      await names("sort_key=name"),
      ['quoted, "name"', "none", "c", "b", "a"],
      "alone: downwards",
    )
    assert.deepEqual(await names("sort_dir=asc"), ["a", "b", "c", 'quoted, "name"', "none"], "times")
    const two = "sort_key=status&sort_key=name&sort_dir=asc&sort_dir=desc"
    assert.deepEqual(await names(two), ["c", "b", "a", 'quoted, "name"', "none"])
  })

  test("pages give everything once, in any order", async () => {
    for (const sort of ["", "sort=size:asc", "sort=name:desc", "sort=disk_format:asc,size:desc", "sort=id"]) {
      const whole = await names(sort)
      const seen: string[] = []
      let path: string | undefined = `/v2/images?limit=2&${sort}`
      while (path) {
        const { body } = await cloud.request("GET", `/image${path}`, { as: "p1" })
        assert.ok(body.first.startsWith("/v2/images?limit=2"))
        seen.push(...body.images.map((i: { name: string }) => i.name))
        path = body.next
      }
      assert.deepEqual(seen, whole, sort)
    }
  })

  test("the next page keeps every tag", async () => {
    const { body } = await cloud.request("GET", `${images}?tag=x&tag=y&limit=1`, { as: "p1" })
    assert.equal(body.next, `/v2/images?tag=x&tag=y&limit=1&marker=${ids.a}`)
  })
})

test("a project without images sees none of another's", async () => {
  assert.deepEqual(await names("", "p2"), [])
  assert.deepEqual(await names("visibility=all", "p2"), [])
})

test("what a policy takes out of a page does not end the list", async () => {
  const { policy } = cloud.platform
  policy.override({ get_image: `not 'none':%(name)s and not 'c':%(name)s and not 'b':%(name)s` })
  try {
    const found: string[] = []
    let pages = 0
    for (let path: string | undefined = "/v2/images?limit=1&sort=name:asc"; path !== undefined; pages++) {
      const { body } = await cloud.request("GET", `/image${path}`, { as: "p1" })
      found.push(...body.images.map((image: { name: string }) => image.name))
      path = body.next
    }
    assert.deepEqual(found, ["a", 'quoted, "name"'])
    assert.ok(pages >= 5)
  } finally {
    policy.override({})
  }
})
