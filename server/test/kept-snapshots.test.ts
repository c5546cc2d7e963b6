// Snapshots whose volume was given away without them: what the volume's new project says of it is not to be had of
// them.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import {
  type Body,
  c,
  makeGroup,
  makeVolume,
  ok,
  plain,
  refused,
  removeGroup,
  settled,
  startGroups,
  takeSnapshot,
  volumeType,
} from "./group-cloud.ts"

let secretType: string
before(async () => {
  await startGroups()
  const secret = { name: "secret", "os-volume-type-access:is_public": false }
  secretType = (await ok("POST", "/types", { volume_type: secret }, c.admin)).volume_type.id
})
after(() => c[Symbol.asyncDispose]())

const act = (id: string, action: Body, token = c.demo) => ok("POST", `/volumes/${id}/action`, action, token)

/** The administrators' project gets it, and makes something of its own of it. */
async function giveAway(id: string): Promise<void> {
  const { transfer } = await ok("POST", "/volume-transfers", {
    transfer: { volume_id: id, no_snapshots: true },
  })
  const accept = { auth_key: transfer.auth_key }
  await ok("POST", `/volume-transfers/${transfer.id}/accept`, { accept }, c.admin)
  await act(id, { "os-retype": { new_type: secretType, migration_policy: "never" } }, c.admin)
  await act(id, { "os-set_bootable": { bootable: true } }, c.admin)
  await act(id, { "os-set_image_metadata": { metadata: { image_name: "secret" } } }, c.admin)
}

const factsOf = ({ volume_type, bootable, volume_image_metadata }: Body) => [
  volume_type,
  bootable,
  volume_image_metadata,
]
const blank = ["__DEFAULT__", "false", undefined]

test("a volume made of a snapshot is like the snapshot's volume as long as that is the project's", async () => {
  const id = await makeVolume()
  await act(id, { "os-set_bootable": { bootable: true } })
  const { snapshot } = await ok("POST", "/snapshots", { snapshot: { volume_id: id } })
  await settled("snapshot", snapshot.id)
  const make = async () => {
    const { volume } = await ok("POST", "/volumes", { volume: { snapshot_id: snapshot.id } })
    return factsOf(await settled("volume", volume.id))
  }
  assert.deepEqual(await make(), ["fast", "true", undefined])
  await giveAway(id)
  assert.deepEqual(await make(), blank)
  const { body } = await c.call("POST", "/servers", {
    server: {
      ...{ name: "vm", flavorRef: c.flavorId, networks: "auto" },
      block_device_mapping_v2: [
        { uuid: snapshot.id, source_type: "snapshot", destination_type: "volume", boot_index: 0 },
      ],
    },
  })
  assert.match(body.badRequest?.message ?? JSON.stringify(body), /is not bootable/)
})

test("so is a group that is made of snapshots", async () => {
  const { id: defaultType } = (await ok("GET", "/types/default")).volume_type
  const make = async (volumeTypes: string[]) => {
    const groupId = await makeGroup(plain, { volume_types: volumeTypes })
    const id = await makeVolume(groupId)
    const snapshotId = await takeSnapshot(groupId)
    await ok("PUT", `/groups/${groupId}`, { group: { remove_volumes: id } })
    await settled("group", groupId)
    await giveAway(id)
    return { "create-from-src": { group_snapshot_id: snapshotId } }
  }
  const { group } = await ok("POST", "/groups/action", await make([volumeType, defaultType]))
  await settled("group", group.id)
  const { volumes } = await ok("GET", `/volumes/detail?group_id=${group.id}`)
  assert.deepEqual(volumes.map(factsOf), [blank])
  await removeGroup(group.id)
  await refused("POST", "/groups/action", await make([volumeType]), /another project's now/)
})

test("a type that a project may not use any more is nobody's by inheritance", async () => {
  const access = (change: string) => {
    const project = c.cloud.database.db
      .selectFrom("block_storage.volume")
      .select("project_id")
      .where("id", "=", own)
      .executeTakeFirstOrThrow()
    return project.then(({ project_id }) =>
      ok("POST", `/types/${secretType}/action`, { [change]: { project: project_id } }, c.admin),
    )
  }
  const own = await makeVolume()
  await access("addProjectAccess")
  await act(own, { "os-retype": { new_type: secretType, migration_policy: "never" } })
  const { snapshot } = await ok("POST", "/snapshots", { snapshot: { volume_id: own } })
  await settled("snapshot", snapshot.id)
  const sources = [{ source_volid: own }, { snapshot_id: snapshot.id }]
  for (const volume of sources) {
    const made = (await ok("POST", "/volumes", { volume })).volume
    assert.equal((await settled("volume", made.id)).volume_type, "secret")
  }
  await access("removeProjectAccess")
  for (const volume of sources) {
    await refused("POST", "/volumes", { volume }, /may not use the type of the source/)
    await ok("POST", "/volumes", { volume: { ...volume, volume_type: volumeType } })
  }
})
