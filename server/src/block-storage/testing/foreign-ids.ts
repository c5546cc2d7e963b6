import {
  idOf,
  type ServiceFixture,
  type Side,
  secretName,
  thing,
  type World,
  word,
} from "../../../test/foreign-ids/fixture.ts"
import { eventually } from "../../platform/clock/clock.ts"

const v3 = "/volume/v3"
const newest = { "openstack-api-version": "volume 3.71" }

async function settled(side: Side, world: World, path: string, noun: string): Promise<void> {
  // Nothing may change any more when the other one begins to try.
  await eventually(`${noun} to be there`, async () => {
    const { body } = await world.cloud.cloud.request("GET", path, { token: side.token, headers: newest })
    return body[noun]?.status === "available"
  })
}

async function newVolume(side: Side, world: World): Promise<string> {
  const { volume } = await world.make(side.token, "POST", `${v3}/volumes`, {
    volume: { name: secretName(side), size: 1 },
  })
  await settled(side, world, `${v3}/volumes/${volume.id}`, "volume")
  return volume.id
}

/** Of the side's group. */
async function newMember(side: Side, world: World): Promise<string> {
  const volume = { size: 1, volume_type: "__DEFAULT__", group_id: side.things.get("group") }
  const made = await world.make(side.token, "POST", `${v3}/volumes`, { volume })
  await settled(side, world, `${v3}/volumes/${made.volume.id}`, "volume")
  return made.volume.id
}

const sharedGroupType = "shared groups"

async function newGroup(side: Side, world: World): Promise<string> {
  const group = { name: secretName(side), group_type: sharedGroupType, volume_types: ["__DEFAULT__"] }
  const known = await world.cloud.cloud.request("POST", `${v3}/group_types`, {
    token: world.admin,
    headers: newest,
    body: { group_type: { name: group.group_type } },
  })
  if (known.status !== 202 && known.status !== 409) throw new Error(`a group type: ${known.status}`)
  const made = await world.make(side.token, "POST", `${v3}/groups`, { group }, newest)
  await settled(side, world, `${v3}/groups/${made.group.id}`, "group")
  return made.group.id
}

async function newSnapshot(side: Side, world: World): Promise<string> {
  const { snapshot } = await world.make(side.token, "POST", `${v3}/snapshots`, {
    snapshot: { volume_id: idOf(side, "volume"), name: secretName(side), force: true },
  })
  await settled(side, world, `${v3}/snapshots/${snapshot.id}`, "snapshot")
  return snapshot.id
}

async function make(side: Side, world: World): Promise<void> {
  const { things, token } = side
  const name = secretName(side)
  const volumeId = await newVolume(side, world)
  things.set("volume", volumeId)
  await world.make(token, "PUT", `${v3}/volumes/${volumeId}/metadata`, { metadata: { k: name } })
  const { snapshot } = await world.make(token, "POST", `${v3}/snapshots`, {
    snapshot: { volume_id: volumeId, name, metadata: { k: name } },
  })
  await settled(side, world, `${v3}/snapshots/${snapshot.id}`, "snapshot")
  things.set("snapshot", snapshot.id)
  const { backup } = await world.make(token, "POST", `${v3}/backups`, {
    backup: { volume_id: volumeId, name },
  })
  await settled(side, world, `${v3}/backups/${backup.id}`, "backup")
  things.set("backup", backup.id)
  const offered = await newVolume(side, world)
  const { transfer } = await world.make(token, "POST", `${v3}/os-volume-transfer`, {
    transfer: { volume_id: offered, name },
  })
  things.set("transfer", transfer.id)
  const held = await newVolume(side, world)
  const made = await world.make(
    token,
    "POST",
    `${v3}/attachments`,
    { attachment: { volume_uuid: held } },
    newest,
  )
  things.set("volume_attachment", made.attachment.id)
  const groupId = await newGroup(side, world)
  things.set("group", groupId)
  const { volume: inGroup } = await world.make(token, "POST", `${v3}/volumes`, {
    volume: { name, size: 1, volume_type: "__DEFAULT__", group_id: groupId },
  })
  await settled(side, world, `${v3}/volumes/${inGroup.id}`, "volume")
  const { group_snapshot: whole } = await world.make(
    token,
    "POST",
    `${v3}/group_snapshots`,
    { group_snapshot: { group_id: groupId, name } },
    newest,
  )
  await settled(side, world, `${v3}/group_snapshots/${whole.id}`, "group_snapshot")
  things.set("group_snapshot", whole.id)
  // Nobody but administrators sees one that is not public.
  const { group_type: groupType } = await world.make(
    world.admin,
    "POST",
    `${v3}/group_types`,
    { group_type: { name, is_public: false, group_specs: { k: name } } },
    newest,
  )
  things.set("group_type", groupType.id)
  const type = await world.make(world.admin, "POST", `${v3}/types`, {
    volume_type: { name, "os-volume-type-access:is_public": false, extra_specs: { multiattach: name } },
  })
  const { id } = type.volume_type
  await world.make(world.admin, "POST", `${v3}/types/${id}/action`, {
    addProjectAccess: { project: side.projectId },
  })
  things.set("volume_type", id)
  const qos = await world.make(world.admin, "POST", `${v3}/qos-specs`, {
    qos_specs: { name: `qos ${name}`, consumer: "back-end", key: name },
  })
  things.set("qos_specs", qos.qos_specs.id)
  // No back end is like this, and that is told.
  const failing = await world.make(token, "POST", `${v3}/volumes`, { volume: { size: 1, volume_type: id } })
  const messages = await eventually("a message", async () => {
    const asked = { token, headers: newest }
    const { body } = await world.cloud.cloud.request(
      "GET",
      `${v3}/messages?resource_uuid=${failing.volume.id}`,
      asked,
    )
    return body.messages.length > 0 && body.messages
  })
  things.set("message", messages[0].id)
}

export const foreignIds: ServiceFixture = {
  service: "block-storage",
  make,
  params: {
    volume_id: thing("volume"),
    snapshot_id: thing("snapshot"),
    backup_id: thing("backup"),
    attachment_id: thing("volume_attachment"),
    transfer_id: thing("transfer"),
    group_id: thing("group"),
    consistencygroup_id: thing("group"),
    group_snapshot_id: thing("group_snapshot"),
    cgsnapshot_id: thing("group_snapshot"),
    group_type_id: thing("group_type"),
    "/group_types/{group_type_id}/group_specs/{key} key": word("k"),
    type_id: thing("volume_type"),
    message_id: thing("message"),
    qos_id: thing("qos_specs"),
    project_id: thing("project"),
    "/volumes/{volume_id}/metadata/{key} key": word("k"),
    "/snapshots/{snapshot_id}/metadata/{key} key": word("k"),
    "/types/{type_id}/extra_specs/{key} key": word("multiattach"),
    encryption_id: word("provider"),
    "/volumes/{volume_id}/encryption/{key} key": word("encryption_key_id"),
    class_name: word("default"),
    action: word("enable"),
    host: word("host1@fake"),
    cluster_name: word("there are none"),
    alias: word("os-hosts"),
  },
  fields: {
    imageRef: thing("image"),
    "os-reimage.image_id": thing("image"),
    "volume.snapshot_id": thing("snapshot"),
    "snapshot.volume_id": thing("volume", newVolume),
    source_volid: thing("volume"),
    volume_type: thing("volume_type"),
    new_type: thing("volume_type"),
    "revert.snapshot_id": word("the latest of that volume"),
    volume_uuid: thing("volume", newVolume),
    "transfer.volume_id": thing("volume", newVolume),
    group_id: thing("group"),
    consistencygroup_id: thing("group"),
    source_group_id: thing("group"),
    source_cgid: thing("group"),
    group_snapshot_id: thing("group_snapshot"),
    cgsnapshot_id: thing("group_snapshot"),
    group_type: thing("group_type", () => sharedGroupType),
    volume_types: thing("volume_type"),
    "volume_types[]": thing("volume_type"),
    add_volumes: thing("volume", newVolume),
    remove_volumes: thing("volume", newMember),
    secondary_backend_id: word("a name of a back end"),
    "volume.backup_id": thing("backup"),
    "backup.volume_id": thing("volume", newVolume),
    "backup.snapshot_id": thing("snapshot", newSnapshot),
    "restore.volume_id": thing("volume", newVolume),
    backup_service: word("cinder.backup.drivers.kumoi.file"),
    backup_url: word("what administrators import"),
    "attachment.instance_uuid": word("a text: what a server has is the compute service's to say"),
    "os-attach.instance_uuid": thing("server"),
    "snapshot.ref": word("data of a host, of administrators"),
    attachment_id: word("one of that volume"),
    "os-migrate_volume.host": word("host1@fake2"),
    "os-migrate_volume.cluster": word("there are none"),
    project: word("whom administrators give a type"),
    groups: word("a number"),
    tenant_id: word("what the path says, of administrators"),
    class_name: word("default"),
    cluster_name: word("there are none"),
    resource_id: thing("volume"),
  },
  moreFields: {
    "POST /groups": ["group.group_type", "group.volume_types[]"],
    "POST /consistencygroups": ["consistencygroup.volume_types"],
    "PUT /groups/{group_id}": ["group.add_volumes", "group.remove_volumes"],
    "PUT /consistencygroups/{consistencygroup_id}/update": [
      "consistencygroup.add_volumes",
      "consistencygroup.remove_volumes",
    ],
  },
  bodies: {
    "POST /backups backup.snapshot_id": (side: Side) => ({
      backup: { volume_id: idOf(side, "volume"), force: true },
    }),
    "POST /types/{type_id}/extra_specs": { extra_specs: { k: "taken" } },
    "PUT /types/{type_id}/extra_specs/{key}": { multiattach: "taken" },
    "PUT /volumes/{volume_id}/metadata/{key}": { meta: { k: "taken" } },
    "PUT /snapshots/{snapshot_id}/metadata/{key}": { meta: { k: "taken" } },
    "POST /volumes volume.group_id": { volume: { size: 1, volume_type: "__DEFAULT__" } },
    "POST /volumes volume.consistencygroup_id": { volume: { size: 1, volume_type: "__DEFAULT__" } },
    "POST /groups": { group: { group_type: sharedGroupType, volume_types: ["__DEFAULT__"] } },
    "PUT /groups/{group_id}": { group: { name: "taken" } },
    "POST /groups/{group_id}/action": { delete: { "delete-volumes": true } },
    "POST /groups/action": { "create-from-src": {} },
    "POST /group_snapshots/{group_snapshot_id}/action": { reset_status: { status: "error" } },
    "POST /consistencygroups": { consistencygroup: { volume_types: "__DEFAULT__" } },
    "POST /consistencygroups/create_from_src": { "consistencygroup-from-src": {} },
    "PUT /consistencygroups/{consistencygroup_id}/update": { consistencygroup: { name: "taken" } },
    "POST /consistencygroups/{consistencygroup_id}/delete": { consistencygroup: { force: true } },
    "PUT /group_types/{group_type_id}": { group_type: { name: "taken" } },
    "POST /os-snapshot-manage": { snapshot: { ref: { "source-name": "data" } } },
    "POST /manageable_snapshots": { snapshot: { ref: { "source-name": "data" } } },
    "POST /group_types/{group_type_id}/group_specs": { group_specs: { k: "taken" } },
    "PUT /group_types/{group_type_id}/group_specs/{key}": { k: "taken" },
    "PUT /attachments/{attachment_id}": { attachment: { connector: { host: "metal" } } },
  },
  headers: Object.fromEntries(
    [
      "POST /attachments",
      "GET /attachments",
      "GET /attachments/detail",
      "GET /attachments/{attachment_id}",
      "PUT /attachments/{attachment_id}",
      "DELETE /attachments/{attachment_id}",
      "POST /attachments/{attachment_id}/action",
      "GET /messages",
      "GET /messages/{message_id}",
      "DELETE /messages/{message_id}",
      "POST /volume-transfers",
      "GET /volume-transfers/{transfer_id}",
      "DELETE /volume-transfers/{transfer_id}",
      "POST /volume-transfers/{transfer_id}/accept",
      "GET /clusters/{cluster_name}",
      "POST /volumes/{volume_id}/action os-reimage",
      "POST /volumes/{volume_id}/action revert",
      ...["GET /group_types", "POST /group_types", "GET /group_types/default"],
      ...["GET", "PUT", "DELETE"].map((method) => `${method} /group_types/{group_type_id}`),
      ...["GET", "POST"].map((method) => `${method} /group_types/{group_type_id}/group_specs`),
      ...["GET", "PUT", "DELETE"].map((method) => `${method} /group_types/{group_type_id}/group_specs/{key}`),
      ...["GET /groups", "GET /groups/detail", "POST /groups", "POST /groups/action"],
      ...["GET", "PUT"].map((method) => `${method} /groups/{group_id}`),
      "POST /groups/{group_id}/action",
      ...["GET /group_snapshots", "GET /group_snapshots/detail", "POST /group_snapshots"],
      ...["GET", "DELETE"].map((method) => `${method} /group_snapshots/{group_snapshot_id}`),
      "POST /group_snapshots/{group_snapshot_id}/action",
      "PUT /backups/{backup_id}",
      ...["POST /manageable_snapshots", "POST /manageable_volumes", "POST /workers/cleanup"],
      "POST /volumes",
    ].map((probe) => [probe, newest]),
  ),
  ownRows: [
    {
      table: "block_storage.attachment",
      why: "who has a volume that no server of this cloud has is a text of its owner, and nobody believes it",
    },
  ],
  allowed: [
    {
      probe: "POST /volumes/{volume_id}/action os-reimage",
      where: "os-reimage.image_id own",
      why: "the volume of the probes has been attached by one of them; the image is looked at before that",
    },
    {
      probe: "POST /volumes/{volume_id}/action os-attach",
      where: "os-attach.instance_uuid",
      why: "a text: what a server has is the compute service's to say",
    },
  ],
}
