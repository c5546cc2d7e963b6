// Volumes and snapshots that are taken out of the cloud, and such data that are taken into it.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool } from "./volume-cloud.ts"

const host = "host1@fake#fake"
let c: ServerCloud
before(async () => {
  c = await startServerCloud()
  await hasPool(c)
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function call(method: string, path: string, body?: Body, token = c.admin, version = "3.70") {
  return await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": `volume ${version}` },
    ...(body === undefined ? {} : { body }),
  })
}

async function ok(method: string, path: string, body?: Body, token = c.admin): Promise<Body> {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

async function settled(kind: "volume" | "snapshot", id: string, status = "available"): Promise<Body> {
  return await eventually(`${kind} to be ${status}`, async () => {
    const found = (await ok("GET", `/${kind}s/${id}`))[kind]
    return found.status === status && found
  })
}

async function gone(kind: "volume" | "snapshot", id: string): Promise<void> {
  await eventually(`${kind} to be gone`, async () => (await call("GET", `/${kind}s/${id}`)).status === 404)
}

async function makeVolume(size = 1, token = c.demo): Promise<string> {
  const { volume } = await ok("POST", "/volumes", { volume: { size } }, token)
  await settled("volume", volume.id)
  return volume.id
}

async function unmanage(kind: "volume" | "snapshot", id: string): Promise<void> {
  const reply = await call("POST", `/${kind}s/${id}/action`, { "os-unmanage": {} })
  assert.equal(reply.status, 202, JSON.stringify(reply.body))
  await gone(kind, id)
}

const promised = async () =>
  Number(
    (await c.cloud.database.db.selectFrom("block_storage.pool").select("promised_bytes").executeTakeFirst())
      ?.promised_bytes,
  )

const listed = async (path: string, query = "") => {
  const body = await ok("GET", `${path}?host=${encodeURIComponent(host)}${query}`)
  return body["manageable-volumes"] ?? body["manageable-snapshots"]
}
const namesIn = (list: Body[]) => list.map(({ reference }) => reference["source-name"])
const manage = (wish: Body, path = "/manageable_volumes", version = "3.70") =>
  call("POST", path, { volume: { host, ...wish } }, c.admin, version)

test("an unmanaged volume is forgotten, listed, and managed again under a new id", async () => {
  const before = await promised()
  const id = await makeVolume(3)
  assert.equal((await call("POST", `/volumes/${id}/action`, { "os-unmanage": {} }, c.demo)).status, 403)
  await unmanage("volume", id)
  assert.equal(await promised(), before)
  assert.deepEqual(await listed("/manageable_volumes"), [
    { reference: { "source-name": `volume-${id}` }, size: 3, safe_to_manage: true },
  ])
  const [detail] = await listed("/os-volume-manage/detail")
  assert.deepEqual([detail.reason_not_safe, detail.cinder_id, detail.extra_info], [null, null, null])
  assert.deepEqual(await listed("/manageable_snapshots"), [])

  const ref = { "source-name": `volume-${id}` }
  const made = await manage({ ref, name: "back", metadata: { k: "v" }, bootable: true })
  assert.equal(made.status, 202)
  const { volume } = made.body
  assert.notEqual(volume.id, id)
  const seen = await settled("volume", volume.id)
  assert.deepEqual(
    [seen.name, seen.size, seen.bootable, seen.metadata, seen["os-vol-host-attr:host"], seen.volume_type],
    ["back", 3, "true", { k: "v" }, host, "__DEFAULT__"],
  )
  assert.deepEqual(await listed("/manageable_volumes"), [])
  const again = await manage({ ref })
  assert.deepEqual([again.status, /no data called/.test(again.body.badRequest.message)], [400, true])
  await ok("DELETE", `/volumes/${volume.id}`)
  await gone("volume", volume.id)
  assert.equal(await promised(), before)
})

test("an unmanaged snapshot becomes one of its volume again", async () => {
  const id = await makeVolume(2)
  const { snapshot } = await ok("POST", "/snapshots", { snapshot: { volume_id: id } }, c.demo)
  await settled("snapshot", snapshot.id)
  const busy = await call("POST", `/volumes/${id}/action`, { "os-unmanage": {} })
  assert.match(busy.body.badRequest.message, /must not have snapshots/)
  assert.equal(
    (await call("POST", `/snapshots/${snapshot.id}/action`, { "os-unmanage": {} }, c.demo)).status,
    403,
  )
  await unmanage("snapshot", snapshot.id)
  const [data] = await listed("/os-snapshot-manage/detail")
  assert.deepEqual(data.reference, { "source-name": `_snapshot-${snapshot.id}` })
  assert.deepEqual(await listed("/manageable_volumes"), [])

  const wish = {
    volume_id: id,
    ref: { "source-id": snapshot.id },
    name: "s",
    description: "d",
    metadata: { k: "v" },
  }
  const small = await makeVolume(1)
  const tooSmall = await call("POST", "/manageable_snapshots", { snapshot: { ...wish, volume_id: small } })
  assert.match(tooSmall.body.badRequest.message, /has 2GB, and its volume is of 1GB/)
  const made = await call("POST", "/manageable_snapshots", { snapshot: wish })
  assert.equal(made.status, 202)
  const seen = await settled("snapshot", made.body.snapshot.id)
  assert.deepEqual(
    [seen.volume_id, seen.name, seen.description, seen.metadata, seen.size],
    [id, "s", "d", { k: "v" }, 2],
  )
  await ok("POST", `/volumes/${id}/action`, { revert: { snapshot_id: seen.id } })
  await settled("volume", id)
  for (const each of [id, small]) await ok("DELETE", `/volumes/${each}?cascade=true`)
})

test("lists are in order and in pages", async () => {
  const ids: string[] = []
  for (const size of [2, 1, 3]) ids.push(await makeVolume(size))
  for (const id of ids) await unmanage("volume", id)
  const all = await listed("/manageable_volumes", "&sort=size:asc")
  assert.deepEqual(
    all.map(({ size }: Body) => size),
    [1, 2, 3],
  )
  const names = namesIn(await listed("/manageable_volumes"))
  assert.deepEqual(names, names.toSorted().reverse())
  const marker = encodeURIComponent(JSON.stringify(all[0].reference))
  assert.deepEqual(await listed("/manageable_volumes", `&sort=size:asc&marker=${marker}&limit=1`), [all[1]])
  assert.deepEqual(await listed("/manageable_volumes", "&sort=size:asc&offset=2"), [all[2]])
  for (const query of ["&sort=name:asc", "&marker=x", '&marker={"source-name":"no"}', "&limit=-1"])
    assert.equal((await call("GET", `/manageable_volumes?host=host1@fake${query}`)).status, 400, query)
  for (const { reference: ref } of all) {
    const { volume } = (await manage({ ref })).body
    await settled("volume", volume.id)
    await ok("DELETE", `/volumes/${volume.id}`)
  }
})

test("two who take the same data at once: one of them gets the data", async () => {
  const id = await makeVolume()
  await unmanage("volume", id)
  const ref = `volume-${id}`
  const replies = await Promise.all([1, 2, 3].map(() => manage({ ref })))
  const ends = await Promise.all(
    replies
      .filter(({ status }) => status === 202)
      .map(({ body }) =>
        eventually("the end", async () => {
          const { status } = (await ok("GET", `/volumes/${body.volume.id}`)).volume
          return status !== "managing" && status
        }),
      ),
  )
  assert.equal(ends.filter((status) => status === "available").length, 1)
  assert.ok(ends.every((status) => ["available", "error_managing"].includes(status)))
  for (const { body } of replies)
    if (body.volume) {
      await ok("DELETE", `/volumes/${body.volume.id}`)
      await gone("volume", body.volume.id)
    }
})

test("bad input is told by its name, and who is no administrator sees nothing", async () => {
  const id = await makeVolume()
  const ref = { "source-name": "x" }
  for (const [wish, status, pattern] of [
    [{}, 400, /ref/],
    [{ ref, host: undefined }, 400, /One and only one of cluster and host/],
    [{ ref, cluster: "c" }, 400, /One and only one of cluster and host/],
    [{ ref, host: undefined, cluster: "c" }, 503, /Cluster 'c' not found/],
    [{ ref, host: "nowhere@fake" }, 503, /Host 'nowhere@fake' not found/],
    [{ ref: {} }, 400, /source-name/],
    [{ ref: { "source-name": 1 } }, 400, /source-name/],
    [{ ref: { "source-name": "../../etc/passwd" } }, 400, /no data called/],
    [{ ref: "x".repeat(300) }, 400, /dataName|no data called|ref/],
    [{ ref, volume_type: "none" }, 404, /Volume type none/],
    [{ ref, availability_zone: "mars" }, 400, /mars/],
    [{ ref, bootable: "maybe" }, 400, /bootable/],
    [{ ref, metadata: { k: 1 } }, 400, /k/],
    [{ ref, size: 1 }, 400, /size/],
  ] as const) {
    const reply = await manage(wish)
    const text = JSON.stringify(reply.body)
    assert.equal(reply.status, status, `${JSON.stringify(wish)} ${text}`)
    assert.match(text, pattern)
  }
  assert.equal((await manage({ ref }, "/manageable_volumes", "3.7")).status, 404)
  assert.equal((await manage({ ref }, "/os-volume-manage", "3.7")).status, 400)
  const old = await manage({ ref, cluster: "c" }, "/os-volume-manage", "3.15")
  assert.match(old.body.badRequest.message, /cluster/)
  const missing = await call("GET", "/manageable_volumes", undefined, c.admin, "3.16")
  assert.match(missing.body.badRequest.message, /Host field is missing/)
  for (const [snapshot, status] of [
    [{ volume_id: newUuid(), ref }, 404],
    [{ volume_id: "x", ref }, 400],
    [{ volume_id: id, ref: null }, 400],
    [{ volume_id: id, ref }, 400],
  ] as const)
    assert.equal((await call("POST", "/manageable_snapshots", { snapshot })).status, status)
  for (const path of [
    "/manageable_volumes",
    "/manageable_snapshots",
    "/os-volume-manage",
    "/os-snapshot-manage",
  ])
    assert.equal(
      (await call("GET", `${path}?host=${host.replace("#", "%23")}`, undefined, c.demo)).status,
      403,
    )
  assert.equal((await call("POST", "/manageable_volumes", { volume: { host, ref } }, c.demo)).status, 403)
  assert.equal((await call("POST", `/volumes/${newUuid()}/action`, { "os-unmanage": null })).status, 404)
  await ok("DELETE", `/volumes/${id}`)
})
