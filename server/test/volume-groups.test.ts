// Groups of volumes over HTTP, on a whole control plane with a back end that keeps no data.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import {
  type Body,
  c,
  call,
  consistent,
  gone,
  makeGroup,
  makeGroupType,
  makeVolume,
  ok,
  otherType,
  plain,
  refused,
  removeGroup,
  removeSnapshot,
  settled,
  startGroups,
  takeSnapshot,
  volumeType,
} from "./group-cloud.ts"

before(startGroups)
after(() => c[Symbol.asyncDispose]())

test("group types: listed by who sees them, changed, with specs, and in use", async () => {
  const id = await makeGroupType("ours", { k: "v" }, false)
  const names = async (query: string, token = c.admin) =>
    (await ok("GET", `/group_types${query}`, undefined, token)).group_types.map(({ name }: Body) => name)
  assert.ok(!(await names("")).includes("ours"))
  assert.deepEqual(await names("?is_public=False"), ["ours"])
  const all = await names("?is_public=None&sort=name:asc")
  assert.deepEqual(all, ["consistent", "default_cgsnapshot_type", "ours", "plain"])
  assert.ok(!(await names("?is_public=None", c.demo)).includes("ours"))
  assert.equal((await call("GET", `/group_types/${id}`)).status, 404)
  assert.equal((await call("GET", `/group_types/${plain}`)).body.group_type.group_specs, undefined)
  assert.equal((await ok("GET", "/group_types/default")).group_type.id, plain)
  assert.equal((await call("GET", "/group_types", undefined, c.demo, "3.10")).status, 404)
  assert.equal((await call("POST", "/group_types", { group_type: { name: "x" } })).status, 403)
  const taken = await call("POST", "/group_types", { group_type: { name: "plain" } }, c.admin)
  assert.equal(taken.status, 409)
  const path = `/group_types/${id}`
  const rename = await call("PUT", path, { group_type: { name: "plain" } }, c.admin)
  assert.equal(rename.status, 409)
  const { group_type: changed } = await ok(
    "PUT",
    path,
    { group_type: { name: "theirs", description: "d" } },
    c.admin,
  )
  assert.deepEqual([changed.name, changed.description, changed.group_specs], ["theirs", "d", { k: "v" }])
  for (const [body, why] of [
    [{}, /Specify group type name/],
    [{ name: "  " }, /name/],
    [{ is_public: "perhaps" }, /is_public/],
  ] as const)
    await refused("PUT", path, { group_type: body }, why, c.admin)
  await refused(
    "POST",
    "/group_types",
    { group_type: { name: "y", group_specs: { "a b": "v" } } },
    /group_specs/,
    c.admin,
  )
  await refused("GET", "/group_types?is_public=perhaps", undefined, /is_public/, c.admin)
  const added = await call("POST", `${path}/group_specs`, { group_specs: { k2: "v2" } }, c.admin)
  assert.deepEqual([added.status, added.body], [202, { group_specs: { k2: "v2" } }])
  assert.deepEqual(await ok("PUT", `${path}/group_specs/k3`, { k3: "v3" }, c.admin), { k3: "v3" })
  await refused("PUT", `${path}/group_specs/k3`, { other: "v" }, /URI mismatch/, c.admin)
  assert.deepEqual(await ok("GET", `${path}/group_specs/k2`, undefined, c.admin), { k2: "v2" })
  const { group_specs: specs } = await ok("GET", `${path}/group_specs`, undefined, c.admin)
  assert.deepEqual(specs, { k: "v", k2: "v2", k3: "v3" })
  for (const key of ["k4", "constructor"])
    for (const method of ["GET", "DELETE"])
      assert.equal((await call(method, `${path}/group_specs/${key}`, undefined, c.admin)).status, 404)
  assert.equal((await call("DELETE", `${path}/group_specs/k`, undefined, c.admin)).status, 202)
  assert.equal(
    (await call("GET", `${path}/group_specs`)).status,
    404,
    "of a type that the caller does not see",
  )
  assert.equal((await call("GET", `/group_types/${plain}/group_specs`)).status, 403)
  const groupId = await makeGroup()
  await refused("DELETE", `/group_types/${plain}`, undefined, /still in use/, c.admin)
  assert.equal((await call("DELETE", `/types/${volumeType}`, undefined, c.admin)).status, 400)
  await removeGroup(groupId)
  assert.equal((await call("DELETE", path, undefined, c.admin)).status, 202)
})

test("a group is made, shown at each version, listed by what it is, changed and deleted with its volumes", async () => {
  const id = await makeGroup(plain, { name: " named ", description: "d", volume_types: [volumeType, "slow"] })
  const shown = (await ok("GET", `/groups/${id}`)).group
  assert.deepEqual(shown.volume_types, [volumeType, otherType].sort())
  const { created_at: _at, volume_types: _types, ...rest } = shown
  assert.deepEqual(rest, {
    ...{ id, name: "named", description: "d", status: "available", availability_zone: "nova" },
    ...{ group_type: plain, group_snapshot_id: null, source_group_id: null, replication_status: "disabled" },
  })
  const old = (await call("GET", `/groups/${id}`, undefined, c.demo, "3.13")).body.group
  assert.deepEqual([old.replication_status, old.source_group_id], [undefined, undefined])
  assert.equal((await call("GET", `/groups/${id}`, undefined, c.demo, "3.12")).status, 404)
  const ofAdmin = (await ok("GET", `/groups/${id}`, undefined, c.admin)).group
  assert.match(ofAdmin.project_id, /./)
  const volumes = [await makeVolume(id), await makeVolume(id)]
  assert.deepEqual((await ok("GET", `/groups/${id}?list_volume=true`)).group.volumes, volumes)
  const other = await makeGroup(plain, { name: "other" })
  const ids = async (query: string) =>
    (await ok("GET", `/groups${query}`)).groups.map((group: Body) => group.id)
  assert.deepEqual(await ids("?name=named"), [id])
  assert.deepEqual(await ids("?sort=name:asc"), [id, other])
  assert.deepEqual(await ids("?sort=name:desc&limit=1"), [other])
  assert.deepEqual(await ids(`?sort=name:desc&limit=1&marker=${other}`), [id])
  const page = await ok("GET", "/groups?limit=1")
  assert.match(page.group_links[0].href, /marker=/)
  const detail = (await ok("GET", "/groups/detail?list_volume=true")).groups
  assert.deepEqual(detail.find((group: Body) => group.id === id).volumes, volumes)
  const found = (await ok("GET", `/volumes/detail?group_id=${id}`)).volumes
  assert.deepEqual(found.map((volume: Body) => volume.id).sort(), volumes.toSorted())
  assert.deepEqual((await ok("GET", `/volumes?group_id=${other}`)).volumes, [])

  const [first = "", second = ""] = volumes
  const change = (group: Body) => call("PUT", `/groups/${id}`, { group })
  assert.equal((await change({ name: "new", description: "", remove_volumes: `${second},` })).status, 202)
  assert.equal((await settled("volume", second)).group_id, null)
  assert.equal((await settled("group", id)).name, "new")
  assert.equal((await change({ add_volumes: second })).status, 202)
  const loose = await makeVolume()
  const slow = await makeVolume(undefined, { volume_type: otherType })
  for (const [group, why] of [
    [{}, /./],
    [{ name: "new" }, /no valid name/],
    [{ add_volumes: "nonsense" }, /cannot be found/],
    [{ add_volumes: newUuid() }, /cannot be found/],
    [{ remove_volumes: loose }, /is not in the group/],
    [{ add_volumes: loose, remove_volumes: loose }, /both add and remove/],
    [{ add_volumes: "x".repeat(256) }, /add_volumes/],
  ] as const)
    await refused("PUT", `/groups/${id}`, { group }, why)
  await refused("PUT", `/groups/${other}`, { group: { add_volumes: first } }, /already in group/)
  await refused("PUT", `/groups/${other}`, { group: { add_volumes: slow } }, /not supported by the group/)
  assert.equal((await change({ add_volumes: slow })).status, 202)
  await refused("PUT", `/groups/${id}`, { group: { add_volumes: loose } }, /3 volumes at the most/)
  await refused(
    "POST",
    "/volumes",
    { volume: { size: 1, volume_type: volumeType, group_id: id } },
    /3 volumes at the most/,
  )

  await refused("POST", `/groups/${id}/action`, { delete: {} }, /still contains volumes/)
  await refused("POST", `/groups/${id}/action`, { delete: { "delete-volumes": "perhaps" } }, /delete-volumes/)
  await removeGroup(id)
  for (const volumeId of [...volumes, slow]) await gone("volume", volumeId)
  await ok("POST", `/groups/${other}/action`, { delete: { "delete-volumes": false } })
  await gone("group", other)
  await ok("DELETE", `/volumes/${loose}`)
})

test("bad input is told by its name, and what nobody has is 404", async () => {
  for (const [group, why] of [
    [{ volume_types: [volumeType] }, /group_type/],
    [{ group_type: plain }, /volume_types/],
    [{ group_type: plain, volume_types: [] }, /volume_types/],
    [{ group_type: plain, volume_types: [volumeType, volumeType] }, /volume_types/],
    [{ group_type: " ", volume_types: [volumeType] }, /group_type/],
    [{ group_type: plain, volume_types: [volumeType], availability_zone: "mars" }, /mars/],
    [{ group_type: plain, volume_types: [volumeType], name: "n".repeat(256) }, /name/],
    [{ group_type: plain, volume_types: [volumeType], more: 1 }, /more/],
    [{ group_type: "default_cgsnapshot_type", volume_types: [volumeType] }, /reserved/],
  ] as const)
    await refused("POST", "/groups", { group }, why)
  for (const group of [
    { group_type: "no-type", volume_types: [volumeType] },
    { group_type: newUuid(), volume_types: [volumeType] },
    { group_type: plain, volume_types: ["no-type"] },
  ])
    assert.equal((await call("POST", "/groups", { group })).status, 404)
  for (const [method, path, body] of [
    ["GET", `/groups/${newUuid()}`, undefined],
    ["GET", "/groups/nonsense", undefined],
    ["PUT", `/groups/${newUuid()}`, { group: { name: "n" } }],
    ["POST", `/groups/${newUuid()}/action`, { delete: {} }],
    ["POST", "/groups/action", { "create-from-src": { source_group_id: newUuid() } }],
    ["POST", "/groups/action", { "create-from-src": { group_snapshot_id: newUuid() } }],
    ["POST", "/group_snapshots", { group_snapshot: { group_id: newUuid() } }],
    ["DELETE", `/group_snapshots/${newUuid()}`, undefined],
    ["POST", "/volumes", { volume: { size: 1, volume_type: volumeType, group_id: newUuid() } }],
  ] as const)
    assert.equal((await call(method, path, body)).status, 404, `${method} ${path}`)
  const both = { source_group_id: newUuid(), group_snapshot_id: newUuid() }
  await refused("POST", "/groups/action", { "create-from-src": both }, /either/)
  await refused("POST", "/groups/action", { "create-from-src": { name: "n" } }, /either/)
  await refused("GET", "/groups?sort_key=secret", undefined, /secret/)
})

test("volumes come into a group by their type, and leave it by no other way", async () => {
  const id = await makeGroup()
  const volume = { size: 1, group_id: id }
  await refused("POST", "/volumes", { volume }, /volume_type must be provided/)
  await refused("POST", "/volumes", { volume: { ...volume, volume_type: otherType } }, /Invalid volume_type/)
  const volumeId = await makeVolume(id)
  await refused("DELETE", `/volumes/${volumeId}`, undefined, /must not belong to a group/)
  const force = { "os-force_delete": {} }
  await refused("POST", `/volumes/${volumeId}/action`, force, /must not belong to a group/, c.admin)
  const retype = { "os-retype": { new_type: otherType, migration_policy: "never" } }
  await refused("POST", `/volumes/${volumeId}/action`, retype, /must not be part of a group/)
  await refused(
    "POST",
    "/volume-transfers",
    { transfer: { volume_id: volumeId } },
    /must not be part of a group/,
  )
  assert.equal((await settled("volume", volumeId)).status, "available")
  const { attachment } = await ok("POST", "/attachments", { attachment: { volume_uuid: volumeId } })
  await refused("POST", `/groups/${id}/action`, { delete: { "delete-volumes": true } }, /is attached/)
  await settled("group", id)
  await ok("DELETE", `/attachments/${attachment.id}`)
  await settled("volume", volumeId)
  await removeGroup(id)
})

test("a group snapshot has a snapshot of each volume, which only goes with it", async () => {
  for (const type of [plain, consistent]) {
    const id = await makeGroup(type)
    await refused("POST", "/group_snapshots", { group_snapshot: { group_id: id } }, /cannot be empty/)
    const volumes = [await makeVolume(id), await makeVolume(id, { size: 2 })]
    const wish = { group_id: id, name: "gs", description: "d" }
    const made = await call("POST", "/group_snapshots", { group_snapshot: wish })
    const { group_snapshot: created } = made.body
    const snapshotId = created.id
    assert.deepEqual([made.status, created], [202, { id: snapshotId, name: "gs", group_type_id: type }])
    const whole = await settled("group_snapshot", snapshotId)
    assert.deepEqual([whole.group_id, whole.group_type_id, whole.description], [id, type, "d"])
    const found = (await ok("GET", `/snapshots/detail?group_snapshot_id=${snapshotId}`)).snapshots
    assert.deepEqual(found.map((each: Body) => each.volume_id).sort(), volumes.toSorted())
    for (const each of found)
      assert.deepEqual([each.name, each.status, each.group_snapshot_id], ["gs", "available", snapshotId])
    const [one] = found
    await refused("DELETE", `/snapshots/${one.id}`, undefined, /must not be part of a group/)
    await refused(
      "POST",
      `/snapshots/${one.id}/action`,
      { "os-force_delete": {} },
      /part of a group/,
      c.admin,
    )
    await refused(
      "POST",
      `/groups/${id}/action`,
      { delete: { "delete-volumes": true } },
      /existing snapshots/,
    )
    await refused("DELETE", `/group_types/${type}`, undefined, /in use/, c.admin)
    const taken = { remove_volumes: one.volume_id }
    await ok("PUT", `/groups/${id}`, { group: taken })
    await refused(
      "DELETE",
      `/volumes/${one.volume_id}?cascade=true`,
      undefined,
      /snapshot of a group snapshot/,
    )
    await refused(
      "POST",
      "/volume-transfers",
      { transfer: { volume_id: one.volume_id } },
      /of a group snapshot/,
    )
    const ids = async (query: string, version = "3.70") =>
      (await call("GET", `/group_snapshots${query}`, undefined, c.demo, version)).body.group_snapshots.map(
        (each: Body) => each.id,
      )
    assert.deepEqual(await ids(`?group_id=${id}&name=gs&status=available`), [snapshotId])
    assert.deepEqual(await ids("?name=other"), [])
    assert.deepEqual(await ids("/detail?name=other", "3.28"), [snapshotId], "filtered from 3.29 on")
    await removeSnapshot(snapshotId)
    for (const each of found) await gone("snapshot", each.id)
    await ok("DELETE", `/volumes/${one.volume_id}`)
    await removeGroup(id)
  }
})

test("a group is made of another one, and of its snapshot, volume by volume", async () => {
  for (const type of [plain, consistent]) {
    const id = await makeGroup(type)
    await refused("POST", "/groups/action", { "create-from-src": { source_group_id: id } }, /is empty/)
    const volumes = [await makeVolume(id), await makeVolume(id, { size: 2 })]
    const groupSnapshotId = await takeSnapshot(id)
    for (const source of [{ source_group_id: id }, { group_snapshot_id: groupSnapshotId }]) {
      const made = await call("POST", "/groups/action", { "create-from-src": { ...source, name: "copy" } })
      assert.equal(made.status, 202, JSON.stringify(made.body))
      assert.equal(made.body.group.name, "copy")
      const copy = await settled("group", made.body.group.id)
      assert.deepEqual(
        [copy.source_group_id, copy.group_snapshot_id],
        [source.source_group_id ?? null, source.group_snapshot_id ?? null],
      )
      assert.deepEqual([copy.group_type, copy.volume_types], [type, [volumeType]])
      const copies = (await ok("GET", `/volumes/detail?group_id=${copy.id}`)).volumes
      assert.deepEqual(copies.map(({ size, status }: Body) => [size, status]).sort(), [
        [1, "available"],
        [2, "available"],
      ])
      if (source.source_group_id)
        assert.deepEqual(copies.map((each: Body) => each.source_volid).sort(), volumes.toSorted())
      await removeGroup(copy.id)
    }
    await removeSnapshot(groupSnapshotId)
    await removeGroup(id)
  }
})

test("a type that no back end fits leaves the group in error, with the reason", async () => {
  const replicated = await makeGroupType("replicated", { group_replication_enabled: "<is> True" })
  const { group } = await ok("POST", "/groups", {
    group: { name: "g", group_type: replicated, volume_types: [volumeType] },
  })
  await settled("group", group.id, "error")
  const { messages } = await ok("GET", `/messages?resource_uuid=${group.id}`)
  assert.deepEqual([messages[0].resource_type, messages[0].event_id], ["GROUP", "VOLUME_GROUP_001_003"])
  assert.match(messages[0].user_message, /No valid backend/)
  const inIt = { size: 1, volume_type: volumeType, group_id: group.id }
  await refused("POST", "/volumes", { volume: inIt }, /must be one of 'available'/)
  await refused("POST", `/groups/${group.id}/action`, { enable_replication: {} }, /replication_enabled/)
  await ok("POST", `/groups/${group.id}/action`, { delete: {} })
  await gone("group", group.id)
  await ok("DELETE", `/group_types/${replicated}`, undefined, c.admin)
})

test("what is not replicated says so, and an administrator says what a status is", async () => {
  const id = await makeGroup()
  for (const action of ["enable_replication", "disable_replication", "list_replication_targets"])
    await refused("POST", `/groups/${id}/action`, { [action]: {} }, /is not a replication group type/)
  await refused(
    "POST",
    `/groups/${id}/action`,
    { failover_replication: { allow_attached_volume: true } },
    /is not a repl/,
  )
  const early = await call("POST", `/groups/${id}/action`, { enable_replication: {} }, c.demo, "3.37")
  assert.equal(early.status, 400)
  await makeVolume(id)
  const groupSnapshotId = await takeSnapshot(id)
  for (const path of [`/groups/${id}`, `/group_snapshots/${groupSnapshotId}`]) {
    const reset = (status: Body, token = c.admin) =>
      call("POST", `${path}/action`, { reset_status: { status } }, token)
    assert.equal((await reset("error", c.demo)).status, 403)
    assert.equal((await reset("nonsense")).status, 400)
    assert.equal((await reset("ERROR")).status, 202)
    const kind = path.startsWith("/groups") ? "group" : "group_snapshot"
    assert.equal((await ok("GET", path))[kind].status, "error")
    if (kind === "group")
      await refused("PUT", path, { group: { remove_volumes: newUuid() } }, /status must be available/)
    assert.equal((await reset("available")).status, 202)
  }
  await removeSnapshot(groupSnapshotId)
  await removeGroup(id)
})

test("volumes in several servers are of no one moment; those in one server are", async () => {
  const id = await makeGroup(consistent)
  const volumes = [await makeVolume(id), await makeVolume(id)]
  const [first = "", second = ""] = volumes
  const servers = [await c.create(), await c.create()]
  const [one = "", other = ""] = servers
  for (const serverId of servers) await c.reaches(serverId, "ACTIVE")
  const at = (serverId: string) => `/servers/${serverId}/os-volume_attachments`
  const attach = async (volumeId: string, serverId: string) => {
    await c.call("POST", at(serverId), { volumeAttachment: { volumeId } })
    await settled("volume", volumeId, "in-use")
  }
  const detach = async (volumeId: string, serverId: string) => {
    await c.call("DELETE", `${at(serverId)}/${volumeId}`)
    await settled("volume", volumeId)
  }
  await attach(first, one)
  await attach(second, other)
  await refused("POST", "/group_snapshots", { group_snapshot: { group_id: id } }, /several servers/)
  await refused("POST", "/groups/action", { "create-from-src": { source_group_id: id } }, /several servers/)
  await detach(second, other)
  await attach(second, one)
  await removeSnapshot(await takeSnapshot(id))
  await refused("POST", `/groups/${id}/action`, { delete: { "delete-volumes": true } }, /is attached/)
  for (const volumeId of volumes) await detach(volumeId, one)
  await removeGroup(id)
})

test("a volume that comes while its group goes is either there with it, or with neither", async () => {
  for (let round = 0; round < 5; round++) {
    const id = await makeGroup()
    const [made, ended] = await Promise.all([
      call("POST", "/volumes", { volume: { size: 1, volume_type: volumeType, group_id: id } }),
      call("POST", `/groups/${id}/action`, { delete: {} }),
    ])
    assert.notEqual(made.status === 202, ended.status === 202, `${made.status} and ${ended.status}`)
    if (made.status === 202) {
      await settled("volume", made.body.volume.id)
      await removeGroup(id)
    } else await gone("group", id)
  }
})

test("the quota counts groups", async () => {
  const made = await Promise.all(
    Array.from({ length: 8 }, () =>
      call("POST", "/groups", { group: { group_type: plain, volume_types: [volumeType] } }),
    ),
  )
  const there = made.filter(({ status }) => status === 202)
  assert.equal(there.length, 6)
  const over = made.find(({ status }) => status !== 202)
  assert.equal(over?.status, 413)
  assert.match(over?.body.overLimit.message, /Maximum number of groups allowed \(6\) exceeded/)
  for (const { body } of there) {
    await settled("group", body.group.id)
    await removeGroup(body.group.id)
  }
})

test("the older calls work on the same groups, which the newer ones leave to them", async () => {
  const wish = { name: "cg", volume_types: `${volumeType},` }
  const made = await call("POST", "/consistencygroups", { consistencygroup: wish }, c.demo, "3.0")
  assert.equal(made.status, 202, JSON.stringify(made.body))
  const { id } = made.body.consistencygroup
  const shown = async (of = id) => (await ok("GET", `/consistencygroups/${of}`)).consistencygroup
  const isThere = async (of = id) => (await shown(of)).status === "available"
  await eventually("the consistency group", () => isThere())
  assert.deepEqual((await shown()).volume_types, [volumeType])
  await refused("GET", `/groups/${id}`, undefined, /reserved for migrating CGs/)
  await refused("POST", `/groups/${id}/action`, { delete: {} }, /reserved for migrating CGs/)
  assert.deepEqual((await ok("GET", "/groups")).groups, [])
  assert.deepEqual(
    (await ok("GET", "/consistencygroups/detail")).consistencygroups.map((each: Body) => each.id),
    [id],
  )
  const { volume } = await ok("POST", "/volumes", {
    volume: { size: 1, volume_type: volumeType, consistencygroup_id: id },
  })
  assert.equal((await settled("volume", volume.id)).consistencygroup_id, id)
  const update = (body: Body) => call("PUT", `/consistencygroups/${id}/update`, { consistencygroup: body })
  assert.equal((await update({ name: "renamed" })).status, 202)
  assert.equal((await update({})).status, 400)
  const { cgsnapshot } = await ok("POST", "/cgsnapshots", {
    cgsnapshot: { consistencygroup_id: id, name: "s" },
  })
  const snapshot = async () => (await ok("GET", `/cgsnapshots/${cgsnapshot.id}`)).cgsnapshot
  await eventually("the snapshot", async () => (await snapshot()).status === "available")
  assert.equal((await snapshot()).consistencygroup_id, id)
  await refused("GET", `/group_snapshots/${cgsnapshot.id}`, undefined, /reserved for migrating CGs/)
  assert.equal((await ok("GET", "/cgsnapshots/detail")).cgsnapshots.length, 1)
  for (const source of [{ source_cgid: id }, { cgsnapshot_id: cgsnapshot.id }]) {
    const body = { "consistencygroup-from-src": { name: "copy", ...source } }
    const { consistencygroup: copy } = await ok("POST", "/consistencygroups/create_from_src", body)
    await eventually("the copy", () => isThere(copy.id))
    await ok("POST", `/consistencygroups/${copy.id}/delete`, { consistencygroup: { force: true } })
    await eventually(
      "it to be gone",
      async () => (await call("GET", `/consistencygroups/${copy.id}`)).status === 404,
    )
  }
  for (const body of [{}, { cgsnapshot_id: "a", source_cgid: "b" }])
    await refused(
      "POST",
      "/consistencygroups/create_from_src",
      { "consistencygroup-from-src": body },
      /source_cgid/,
    )
  await ok("DELETE", `/cgsnapshots/${cgsnapshot.id}`)
  await eventually(
    "it to be gone",
    async () => (await call("GET", `/cgsnapshots/${cgsnapshot.id}`)).status === 404,
  )
  const empty = await call("POST", `/consistencygroups/${id}/delete`, { consistencygroup: { force: false } })
  assert.match(empty.body.badRequest.message, /still contains volumes/)
  await ok("POST", `/consistencygroups/${id}/delete`, { consistencygroup: { force: true } })
  await eventually(
    "it to be gone",
    async () => (await call("GET", `/consistencygroups/${id}`)).status === 404,
  )
})
