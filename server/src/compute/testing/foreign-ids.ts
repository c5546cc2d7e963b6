import { generateKeyPairSync, randomUUID } from "node:crypto"
import {
  idOf,
  type ServiceFixture,
  type Side,
  secretName,
  thing,
  type World,
  word,
} from "../../../test/foreign-ids/fixture.ts"
import { contextOf } from "../../../test/saga-case.ts"
import { makeVolume, volumeIs } from "../../../test/volume-cloud.ts"
import { createSnapshot } from "../../block-storage/index.ts"
import { internalCaller } from "../../platform/auth/caller.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { removedRoutes } from "../openstack-v2/removed.ts"

const v21 = "/compute/v2.1"
const headers = { "openstack-api-version": "compute 2.96" }

async function make(side: Side, world: World): Promise<void> {
  const { things, token } = side
  const name = secretName(side)
  const unlimited = { quota_set: { instances: -1, cores: -1, ram: -1 } }
  await world.make(world.admin, "PUT", `${v21}/os-quota-sets/${side.projectId}`, unlimited, headers)
  const post = async (path: string, key: string, body: object, by = token) =>
    (await world.make(by, "POST", `${v21}${path}`, { [key]: body }, headers))[key]
  const sizes = { vcpus: 1, ram: 64, disk: 1, "os-flavor-access:is_public": false }
  const flavor = await post("/flavors", "flavor", { name, id: `flavor-${name}`, ...sizes }, world.admin)
  things.set("flavor", flavor.id)
  const access = { addTenantAccess: { tenant: side.projectId } }
  await world.make(world.admin, "POST", `${v21}/flavors/${flavor.id}/action`, access, headers)
  const specs = { extra_specs: { "hw:cpu_policy": "shared" } }
  await world.make(world.admin, "POST", `${v21}/flavors/${flavor.id}/os-extra_specs`, specs, headers)
  await post("/os-keypairs", "keypair", { name, public_key: publicKey(), type: "ssh" })
  things.set("keypair", name)
  const group = await post("/os-server-groups", "server_group", { name, policy: "anti-affinity" })
  things.set("server_group", group.id)
  const server = await post("/servers", "server", {
    name,
    imageRef: idOf(side, "image"),
    flavorRef: flavor.id,
    key_name: name,
    networks: [{ uuid: idOf(side, "network") }],
    metadata: { key: name },
    tags: [`tag-${name}`],
    user_data: Buffer.from(name).toString("base64"),
  })
  things.set("server", server.id)
  await world.cloud.reaches(server.id, "ACTIVE")
  const get = async (path: string, by = token) =>
    await world.make(by, "GET", `${v21}${path}`, undefined, headers)
  const { interfaceAttachments } = await get(`/servers/${server.id}/os-interface`)
  things.set("server_port", interfaceAttachments[0].port_id)
  things.set("server_address", interfaceAttachments[0].fixed_ips[0].ip_address)
  const asked = { protocol: "vnc", type: "novnc" }
  const { url } = await post(`/servers/${server.id}/remote-consoles`, "remote_console", asked)
  things.set("console_token", new URL(url).searchParams.get("token") ?? "")
  const { instanceActions } = await get(`/servers/${server.id}/os-instance-actions`)
  things.set("action", instanceActions[0].request_id)

  if (!things.has("volume")) things.set("volume", await freshVolume(side, world))
  if (!things.has("snapshot")) things.set("snapshot", await freshSnapshot(side, world))
  things.set("server_volume", await freshVolume(side, world))
  const volumeId = idOf(side, "server_volume")
  await post(`/servers/${server.id}/os-volume_attachments`, "volumeAttachment", { volumeId })
  await volumeIs(world.cloud, volumeId, "in-use")

  things.set("compute_service", (await get("/os-services", world.admin)).services[0].id)
  things.set("hypervisor", (await get("/os-hypervisors", world.admin)).hypervisors[0].id)
  const aggregates = (await get("/os-aggregates", world.admin)).aggregates
  const aggregate =
    aggregates[0] ?? (await post("/os-aggregates", "aggregate", { name: "rack" }, world.admin))
  things.set("aggregate", String(aggregate.id))
  const { agents } = await world.make(world.admin, "GET", "/network/v2.0/agents")
  things.set("network_agent", agents[0].id)
}

function publicKey(): string {
  const { publicKey } = generateKeyPairSync("ed25519")
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32)
  const part = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes])
  return `ssh-ed25519 ${Buffer.concat([part(Buffer.from("ssh-ed25519")), part(raw)]).toString("base64")}`
}

/** One more server of the side: what is tried needs one that nothing else is being done to. */
async function freshServer(side: Side, world: World): Promise<string> {
  const server = {
    name: "fresh",
    imageRef: idOf(side, "image"),
    flavorRef: idOf(side, "flavor"),
    networks: "none",
  }
  const made = await world.make(side.token, "POST", `${v21}/servers`, { server }, headers)
  await world.cloud.reaches(made.server.id, "ACTIVE")
  return made.server.id
}

async function freshPort(side: Side, world: World): Promise<string> {
  const body = { port: { network_id: idOf(side, "network") } }
  return (await world.make(side.token, "POST", "/network/v2.0/ports", body)).port.id
}

function contextFor(side: Side, world: World): Ctx {
  const roles = ["member", "reader"]
  const { projectId, userId } = side
  const { platform } = world.cloud.cloud.cloud
  return contextOf(platform, { ...internalCaller, systemScope: null, projectId, userId, roles })
}

const freshVolume = (side: Side, world: World) =>
  makeVolume(world.cloud, contextFor(side, world), { name: secretName(side) })

async function freshSnapshot(side: Side, world: World): Promise<string> {
  const volumeId = await freshVolume(side, world)
  const wish = { volumeId, name: secretName(side), description: null, metadata: {}, mayBeInUse: false }
  return (await createSnapshot(contextFor(side, world), wish)).id
}

async function otherFlavor(_side: Side, world: World): Promise<string> {
  const body = { flavor: { name: randomUUID(), vcpus: 1, ram: 65, disk: 1 } }
  return (await world.make(world.admin, "POST", `${v21}/flavors`, body)).flavor.id
}

const rule = (side: Side) => ({
  security_group_rule: {
    parent_group_id: idOf(side, "security_group"),
    ip_protocol: "tcp",
    from_port: Math.ceil(Math.random() * 60_000),
    to_port: 60_001,
  },
})

const rootDisk = { source_type: "image", destination_type: "local", boot_index: 0 }
const address = (action: string) => ({ [action]: { address: "10.77.0.5" } })
const nothing = (action: string) => ({ [action]: null })

export const foreignIds: ServiceFixture = {
  service: "compute",
  make,
  params: {
    server_id: thing("server"),
    port_id: thing("server_port"),
    request_id: thing("action"),
    flavor_id: thing("flavor"),
    image_id: thing("image"),
    volume_id: thing("server_volume"),
    "/os-volumes/{volume_id} volume_id": thing("volume"),
    "/os-snapshots/{snapshot_id} snapshot_id": thing("snapshot"),
    ...Object.fromEntries(
      ["os-interface", "action rebuild", "action resize", "action rescue"].map((below) => [
        `POST /servers/{server_id}/${below} server_id`,
        thing("server", freshServer),
      ]),
    ),
    "/os-keypairs/{name} name": thing("keypair"),
    project_id: thing("project"),
    tenant_id: thing("project"),
    server_group_id: thing("server_group"),
    security_group_id: thing("security_group"),
    rule_id: thing("security_group_rule"),
    floating_ip_id: thing("floatingip"),
    service_id: thing("compute_service"),
    hypervisor_id: thing("hypervisor"),
    aggregate_id: thing("aggregate"),
    host_name: word("host1"),
    pattern: word("host"),
    id: word("default"),
    key: word("key"),
    tag: word("tag"),
    network_label: word("label"),
    alias: word("os-keypairs"),
    console_token: thing("console_token"),
    network_id: thing("network"),
    before_timestamp: word("2026-01-01 00:00:00"),
    version_id: word("v2.1"),
    migration_id: word("1"),
    node_id: word("node"),
    "/os-assisted-volume-snapshots/{snapshot_id} snapshot_id": word("any: the volume decides"),
    // Whatever they name, it is gone.
    "POST /servers/{server_id}/action resetNetwork server_id": word("gone"),
    ...Object.fromEntries(
      removedRoutes.flatMap(({ method, path }) =>
        [...path.matchAll(/\{(\w+)\}/g)].map(([, param]) => [`${method} ${path} ${param}`, word("gone")]),
      ),
    ),
  },
  fields: {
    imageRef: thing("image"),
    "cache[].id": thing("image"),
    rescue_image_ref: thing("image"),
    ...Object.fromEntries(
      ["image_id", "volume_id", "snapshot_id"].map((field) => [
        `server.block_device_mapping_v2[].${field}`,
        word("passed over: the uuid says it"),
      ]),
    ),
    "POST /servers server.block_device_mapping_v2[].uuid": thing("image"),
    flavorRef: thing("flavor"),
    "server.networks[].uuid": thing("network"),
    "server.networks[].port": thing("port", freshPort),
    "interfaceAttachment.port_id": thing("port", freshPort),
    "resize.flavorRef": thing("flavor", otherFlavor),
    "server.networks": word("none or auto, or a list"),
    "snapshot.create_info.id": word("any: the volume decides"),
    volume_id: thing("volume", freshVolume),
    snapshot_id: thing("snapshot"),
    "volumeAttachment.volumeId": thing("volume", freshVolume),
    "volumeAttachment.serverId": thing("server"),
    "volumeAttachment.id": thing("server_volume"),
    return_reservation_id: word("a flag"),
    group: thing("server_group"),
    different_host: thing("server"),
    same_host: thing("server"),
    net_id: thing("network"),
    networkId: thing("network"),
    port_id: thing("port"),
    "POST /flavors flavor.id": thing("flavor"),
    tenant: thing("project"),
    user_id: thing("user"),
    parent_group_id: thing("security_group"),
    group_id: thing("security_group"),
    server_uuid: thing("server"),
    "addFloatingIp.address": thing("floating_ip_address"),
    "removeFloatingIp.address": thing("floating_ip_address"),
    "removeFixedIp.address": thing("server_address"),
    "addSecurityGroup.name": thing("security_group"),
    "removeSecurityGroup.name": thing("security_group"),
    "server.key_name": thing("keypair"),
    "server.security_groups[].name": thing("security_group"),
  },
  moreFields: {
    "POST /servers": ["server.key_name", "server.security_groups[].name"],
    "POST /servers/{server_id}/action addFloatingIp": ["addFloatingIp.address"],
    "POST /servers/{server_id}/action removeFloatingIp": ["removeFloatingIp.address"],
    "POST /servers/{server_id}/action removeFixedIp": ["removeFixedIp.address"],
    "POST /servers/{server_id}/action addSecurityGroup": ["addSecurityGroup.name"],
    "POST /servers/{server_id}/action removeSecurityGroup": ["removeSecurityGroup.name"],
  },
  bodies: {
    "POST /servers": (side: Side) => ({
      server: {
        name: "x",
        imageRef: idOf(side, "image"),
        flavorRef: idOf(side, "flavor"),
        networks: [{ uuid: idOf(side, "network") }],
      },
    }),
    "POST /servers server.block_device_mapping_v2[].uuid": (side: Side) => ({
      server: {
        name: "x",
        imageRef: idOf(side, "image"),
        flavorRef: idOf(side, "flavor"),
        networks: "none",
        block_device_mapping_v2: [rootDisk],
      },
    }),
    "POST /flavors/{flavor_id}/action addTenantAccess.tenant": {},
    "POST /flavors/{flavor_id}/action removeTenantAccess.tenant": {},
    "POST /os-keypairs": () => ({ keypair: { name: randomUUID(), public_key: publicKey(), type: "ssh" } }),
    "POST /os-security-group-rules": rule,
    "PUT /servers/{server_id}/metadata/{key}": { meta: { key: "taken" } },
    "PUT /images/{image_id}/metadata/{key}": { meta: { key: "taken" } },
    "PUT /flavors/{flavor_id}/os-extra_specs/{key}": { key: "taken" },
    "POST /flavors": { flavor: { name: `x-${randomUUID()}`, vcpus: 1, ram: 64, disk: 1 } },
    "POST /servers/{server_id}/action addFloatingIp": address("addFloatingIp"),
    "POST /servers/{server_id}/action removeFloatingIp": address("removeFloatingIp"),
    "POST /servers/{server_id}/action removeFixedIp": address("removeFixedIp"),
    "POST /servers/{server_id}/action createImage": { createImage: { name: "x" } },
    "POST /servers/{server_id}/action forceDelete": nothing("forceDelete"),
  },
  ownRows: [{ table: "compute.server_action_event", why: "says in words why one's own attachment failed" }],
  allowed: [
    {
      probe: "GET /os-quota-sets/{project_id}/defaults",
      where: "project_id",
      why: "the defaults are those of the cloud, whatever project the path names",
    },
    ...["different_host", "different_host[]", "same_host", "same_host[]"].flatMap((hint) =>
      ["os", "OS-SCH-HNT"].map((prefix) => ({
        probe: "POST /servers",
        where: `${prefix}:scheduler_hints.${hint}`,
        why: "Nova takes any id; another project's server counts as none (test/server-hints.test.ts)",
      })),
    ),
    { probe: "POST /servers", where: "rows", why: "the stranger's own server has the hints" },
    ...["GET /os-volumes", "GET /os-volumes/detail", "GET /os-volumes/{volume_id}"].map((probe) => ({
      probe,
      where: "shown",
      why: "the stranger wrote that text on its own volume, by os-attach of block storage",
    })),
  ],
}
