import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { newSecret } from "../../platform/ids/ids.ts"
import { canonicalAddress } from "../../platform/net/address.ts"
import {
  type BlockDeviceRequest,
  badRequest,
  type CreateServersInput,
  createServers,
  deleteServer,
  hostsByName,
  listServerDetails,
  listServers,
  type ServerPage,
  showServer,
  showUpdatedServer,
  updateServer,
} from "../index.ts"
import { nextLink } from "./next-link.ts"
import { readBoolean } from "./schema-parts.ts"
import { readServerQuery, toldServerQuery } from "./server-query.ts"
import {
  type BlockDeviceBody,
  type CreateServerBody,
  createServerSchemas,
  lastPart,
  type NetworkBody,
  type UpdateServerBody,
  updateServerSchemas,
} from "./server-schemas.ts"
import { linksOf, serverViewPlan, told, viewServer, viewServerBrief } from "./server-view.ts"

async function list(ctx: Ctx, req: WireRequest) {
  const asked = readServerQuery(ctx, req.query, req.version)
  if (asked === null) return { servers: [] }
  const found = await listServers(ctx, asked)
  const servers = found.servers.map((server) => viewServerBrief(ctx.baseUrl, server))
  return { servers, ...linkOf(ctx, req, found) }
}

async function listDetails(ctx: Ctx, req: WireRequest) {
  const asked = readServerQuery(ctx, req.query, req.version)
  if (asked === null) return { servers: [] }
  const plan = serverViewPlan(ctx, req.version)
  const isModern = plan.minor >= 3
  const withUserData = isModern && plan.showsExtendedAttributes
  const found = await listServerDetails(ctx, { ...asked, isModern, withUserData })
  if (plan.showsHostStatus || plan.showsHostStatusUnknown) plan.hosts = await hostsByName(ctx)
  const servers = found.servers.map((server) => {
    const { networking, volumes } = found
    return viewServer(plan, server, networking.get(server.id), volumes.get(server.id))
  })
  return { servers, ...linkOf(ctx, req, found) }
}

const linkOf = (ctx: Ctx, req: WireRequest, { servers, isFull }: ServerPage<{ id: string }>) =>
  nextLink(ctx, req, "servers", isFull ? servers.at(-1)?.id : null)

async function show(ctx: Ctx, req: WireRequest) {
  const { server, networking, volumes } = await showServer(ctx, { serverId: req.params.server_id ?? "" })
  const plan = serverViewPlan(ctx, req.version, { showsServerGroups: true, projectId: server.projectId })
  if (plan.showsHostStatus || plan.showsHostStatusUnknown) plan.hosts = await hostsByName(ctx)
  return { server: viewServer(plan, server, networking, volumes) }
}

async function create(ctx: Ctx, req: WireRequest<CreateServerBody>) {
  const { server: body } = req.body
  const adminPassword = body.adminPass ?? newPassword()
  const servers = await createServers(ctx, { ...createInput(req), adminPassword })
  const [first] = servers
  if (!first) throw badRequest("There is no server to create.")
  if (readBoolean(body.return_reservation_id)) return reply(202, { reservation_id: first.reservationId })
  const links = linksOf(ctx.baseUrl, first.id)
  const view = {
    id: first.id,
    links,
    "OS-DCF:diskConfig": first.hasAutoDiskConfig ? "AUTO" : "MANUAL",
    security_groups: body.security_groups ?? [{ name: "default" }],
    ...(ctx.config.compute.enableInstancePassword && { adminPass: adminPassword }),
  }
  return reply(202, { server: view }, { location: links[0]?.href ?? "" })
}

const passwordBytes = 9
export function newPassword(): string {
  return newSecret(passwordBytes)
}

function createInput(req: WireRequest<CreateServerBody>): CreateServersInput {
  const { body, version } = req
  const s = body.server
  const minCount = Number(s.min_count ?? 1)
  if (s.block_device_mapping?.length && s.block_device_mapping_v2?.length)
    throw badRequest("Using different block_device_mapping syntaxes is not allowed in the same request.")
  return {
    name: s.name.trim(),
    // Before 2.19 the description could not be said, and Nova took the name for it.
    description: atLeast(version, "2.19") ? (s.description ?? null) : s.name.trim(),
    hostname: s.hostname ?? null,
    imageId: s.imageRef ? lastPart(s.imageRef) : null,
    flavorId: lastPart(String(s.flavorRef)),
    metadata: s.metadata ?? {},
    keyName: s.key_name ?? null,
    userData: s.user_data ?? null,
    injectedFiles: s.personality ?? [],
    hasConfigDrive: readBoolean(s.config_drive),
    hasAutoDiskConfig: s["OS-DCF:diskConfig"] === "AUTO",
    securityGroups: s.security_groups ? [...new Set(s.security_groups.flatMap((g) => g.name ?? []))] : null,
    networks: readNetworks(s.networks),
    availabilityZone: s.availability_zone ?? null,
    requestedHost: s.host ?? s.hypervisor_hostname ?? null,
    schedulerHints: body["os:scheduler_hints"] ?? body["OS-SCH-HNT:scheduler_hints"] ?? {},
    blockDevices: [
      ...readLegacyBlockDevices(s.block_device_mapping ?? [], s.imageRef ? lastPart(s.imageRef) : null),
      ...(s.block_device_mapping_v2 ?? []).filter(({ no_device }) => !no_device).map(readBlockDevice),
    ],
    knowsMultiattach: atLeast(version, "2.60"),
    tags: s.tags ?? [],
    trustedImageCertificates: s.trusted_image_certificates ?? null,
    accessIpV4: s.accessIPv4 ?? null,
    accessIpV6: canonicalIpV6(s.accessIPv6 ?? null),
    minCount,
    maxCount: Number(s.max_count ?? minCount),
  }
}

/** One text for each address: clients compare what they sent with what they read in its shortest form. */
export function canonicalIpV6(text: string | null): string | null {
  return text === null ? null : (canonicalAddress(text) ?? text)
}

function readNetworks(networks: CreateServerBody["server"]["networks"]): CreateServersInput["networks"] {
  if (networks === undefined || networks.length === 0) return null
  if (typeof networks === "string") return networks
  const ports = new Set<string>()
  return networks.map((network) => readNetwork(network, ports))
}

function readNetwork(network: NetworkBody, ports: Set<string>) {
  const portId = network.port ?? null
  if (portId !== null) {
    if (ports.has(portId))
      throw badRequest(`Port ID '${portId}' was specified twice: you cannot attach a port multiple times.`)
    ports.add(portId)
    if (network.fixed_ip !== undefined)
      throw badRequest(
        `Specified Fixed IP '${network.fixed_ip}' cannot be used with port '${portId}': the two cannot be specified together.`,
      )
  } else if (network.uuid === undefined) throw badRequest("Bad network format: missing 'uuid'")
  return {
    networkId: portId === null ? (network.uuid ?? null) : null,
    portId,
    fixedIp: network.fixed_ip ?? null,
    tag: network.tag ?? null,
  }
}

function readBlockDevice(device: BlockDeviceBody): BlockDeviceRequest {
  const sourceType = device.source_type ?? ""
  const bootIndex = device.boot_index ?? null
  return {
    sourceType,
    destinationType: device.destination_type ?? (sourceType === "blank" ? "local" : "volume"),
    uuid: device.uuid ?? null,
    bootIndex: bootIndex === null ? null : Number(bootIndex),
    sizeGib: device.volume_size === undefined ? null : Number(device.volume_size),
    guestFormat: device.guest_format ?? null,
    deviceName: device.device_name ?? null,
    deleteOnTermination: readBoolean(device.delete_on_termination),
    volumeType: device.volume_type || null,
    tag: device.tag ?? null,
    diskBus: device.disk_bus ?? null,
  }
}

/** The first form of it: the device `vda` is the one that is booted, else it is the image. */
function readLegacyBlockDevices(devices: readonly BlockDeviceBody[], imageId: string | null) {
  const read = devices.filter(({ no_device }) => !no_device).map(readLegacyBlockDevice)
  if (read.length === 0 || imageId === null || read.some(({ bootIndex }) => bootIndex === 0)) return read
  return [
    { ...readBlockDevice({ source_type: "image", uuid: imageId, boot_index: 0 }), ...onTheHost },
    ...read,
  ]
}
const onTheHost = { destinationType: "local", deleteOnTermination: true }

function readLegacyBlockDevice(device: BlockDeviceBody): BlockDeviceRequest {
  const { virtual_name: name, volume_id, snapshot_id, device_name } = device
  if (name !== undefined && /^(swap|ephemeral\d+)$/.test(name)) {
    const guest_format = name === "swap" ? "swap" : undefined
    return readBlockDevice({ ...device, source_type: "blank", ...(guest_format && { guest_format }) })
  }
  const uuid = snapshot_id ?? volume_id
  if (uuid === undefined) throw badRequest("Block Device Mapping is Invalid: Unrecognized legacy format.")
  const isRoot = device_name?.replace(/^\/dev\//, "") === "vda"
  return readBlockDevice({
    ...device,
    source_type: snapshot_id === undefined ? "volume" : "snapshot",
    uuid,
    boot_index: isRoot ? 0 : -1,
  })
}

async function update(ctx: Ctx, req: WireRequest<UpdateServerBody>) {
  const serverId = req.params.server_id ?? ""
  const { server: s } = req.body
  await updateServer(ctx, {
    serverId,
    changes: {
      ...(s.name !== undefined && { name: s.name.trim() }),
      ...(s.description !== undefined && { description: s.description }),
      ...(s.hostname !== undefined && { hostname: s.hostname }),
      ...(s.accessIPv4 !== undefined && { accessIpV4: s.accessIPv4 }),
      ...(s.accessIPv6 !== undefined && { accessIpV6: canonicalIpV6(s.accessIPv6) }),
      ...(s["OS-DCF:diskConfig"] !== undefined && { hasAutoDiskConfig: s["OS-DCF:diskConfig"] === "AUTO" }),
    },
  })
  const { server, networking, volumes } = await showUpdatedServer(ctx, { serverId })
  const plan = serverViewPlan(ctx, req.version, {
    isWhole: atLeast(req.version, "2.75"),
    showsServerGroups: true,
    projectId: server.projectId,
  })
  if (plan.showsHostStatus || plan.showsHostStatusUnknown) plan.hosts = await hostsByName(ctx)
  return { server: viewServer(plan, server, networking, volumes) }
}

export const serverRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers",
    operation: listServers,
    told: { ...toldServerQuery, ...told.list },
    handler: list,
  }),
  route({
    method: "GET",
    path: "/servers/detail",
    operation: listServerDetails,
    told: { ...toldServerQuery, ...told.details },
    handler: listDetails,
  }),
  route({
    method: "POST",
    path: "/servers",
    operation: createServers,
    status: 202,
    body: createServerSchemas,
    told: told.made,
    handler: create,
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}",
    operation: showServer,
    told: told.one,
    handler: show,
  }),
  route({
    method: "PUT",
    path: "/servers/{server_id}",
    operation: updateServer,
    alsoAsks: showUpdatedServer,
    body: updateServerSchemas,
    told: told.changed,
    handler: update,
  }),
  route({
    method: "DELETE",
    path: "/servers/{server_id}",
    operation: deleteServer,
    status: 204,
    handler: async (ctx, req) => await deleteServer(ctx, { serverId: req.params.server_id ?? "" }),
  }),
]
