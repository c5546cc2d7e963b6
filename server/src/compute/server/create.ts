// Creates servers: everything that can be refused is refused here, in the request; the rest is the saga's.

import { Type } from "typebox"
import { reserveVolume, volumeInvalid } from "../../block-storage/index.ts"
import {
  type PlannedServerPorts,
  planServerPorts,
  roomForServers,
  serverNetworkFaults,
} from "../../network/index.ts"
import { allOrFirst } from "../../platform/clock/in-parallel.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newHexId, newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import { badRequest, devicePathInUse, zeroDiskFlavor } from "../faults.ts"
import { type Flavor, findFlavor } from "../flavor/flavor.ts"
import { checkHardware } from "../guest-hardware/hardware.ts"
import { checkZone, parseZone, type ZoneRequest } from "../host/zone-request.ts"
import { findKeypair } from "../keypair/keypair.ts"
import { holdRoomForServers } from "../quota/enforce.ts"
import { keptForcedHost } from "../schedule/request.ts"
import { recordActions } from "../server-action/store.ts"
import { serverGroupUnusable } from "../server-group/faults.ts"
import { joinServerGroup, usableServerGroup } from "../server-group/join.ts"
import { AdminPassword, keepAdminPassword } from "./admin-password.ts"
import { insertDevices, type NewBlockDevice } from "./block-device.ts"
import {
  BlockDeviceRequest,
  checkLocalDisks,
  type DiskRequest,
  devicesOf,
  type PlannedVolumes,
  planVolumes,
  readDisks,
  type VolumeWish,
} from "./block-device-request.ts"
import { createServerSaga, createServerWithVolumesSaga } from "./create.saga.ts"
import { type BootImage, bootImage, checkImageFits, checkVolumeFits, imageFacts } from "./image.ts"
import { devicesOfImage, mergeDevices } from "./image-devices.ts"
import {
  checkContents,
  checkInjectedFiles,
  InjectedFile,
  injectedFileFaults,
  keepInjectedFiles,
} from "./injected-file.ts"
import { notifyServers } from "./notification.ts"
import { type FlavorSnapshot, hostnameOf, type Server } from "./server.ts"
import { insertServers, type NewServer } from "./store.ts"
import { actorOf } from "./task.ts"

const nullableText = Type.Union([Type.String(), Type.Null()])

const NetworkRequest = Type.Union([
  Type.Literal("auto"),
  Type.Literal("none"),
  Type.Array(
    Type.Object({
      networkId: nullableText,
      portId: nullableText,
      fixedIp: nullableText,
      tag: nullableText,
    }),
  ),
  Type.Null(),
])

const CreateServers = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 255 }),
  description: nullableText,
  hostname: nullableText,
  imageId: nullableText,
  flavorId: Type.String(),
  metadata: Type.Record(Type.String(), Type.String()),
  keyName: nullableText,
  userData: nullableText,
  injectedFiles: Type.Optional(Type.Array(InjectedFile)),
  hasConfigDrive: Type.Boolean(),
  hasAutoDiskConfig: Type.Boolean(),
  securityGroups: Type.Union([Type.Array(Type.String()), Type.Null()]),
  networks: NetworkRequest,
  /** `zone`, or `zone:host` of an administrator. */
  availabilityZone: nullableText,
  requestedHost: nullableText,
  schedulerHints: Type.Record(Type.String(), Type.Unknown()),
  blockDevices: Type.Array(BlockDeviceRequest),
  /** The caller knows of volumes that several servers have at once. */
  knowsMultiattach: Type.Optional(Type.Boolean()),
  tags: Type.Array(Type.String()),
  trustedImageCertificates: Type.Union([Type.Array(Type.String()), Type.Null()]),
  /** Of all of them, as from Nova. */
  adminPassword: Type.Optional(AdminPassword),
  accessIpV4: nullableText,
  accessIpV6: nullableText,
  minCount: Type.Integer({ minimum: 1 }),
  maxCount: Type.Integer({ minimum: 1 }),
})
export type CreateServersInput = Type.Static<typeof CreateServers>

export const createServers = operation({
  name: "compute.server.create",
  input: CreateServers,
  faults: [
    badRequest,
    devicePathInUse,
    volumeInvalid,
    zeroDiskFlavor,
    quotaExceeded,
    ...injectedFileFaults,
    ...serverNetworkFaults,
    serverGroupUnusable,
  ],
  rules: ["os_compute_api:servers:create", "compute:servers:create:requested_destination"],
  authorize: (ctx, input) => {
    const target = {
      project_id: ctx.caller.projectId,
      user_id: ctx.caller.userId,
      availability_zone: input.availabilityZone,
    }
    const zone = parseZone(input.availabilityZone)
    return [
      ["os_compute_api:servers:create", target],
      ...(input.trustedImageCertificates?.length
        ? [["os_compute_api:servers:create:trusted_certs", target] as const]
        : []),
      ...(input.blockDevices.some(({ destinationType }) => destinationType === "volume")
        ? [["os_compute_api:servers:create:attach_volume", target] as const]
        : []),
      ...(zone.host ? [["os_compute_api:servers:create:forced_host", target] as const] : []),
      ...(input.requestedHost ? [["compute:servers:create:requested_destination", target] as const] : []),
      ...(Array.isArray(input.networks)
        ? [["os_compute_api:servers:create:attach_network", target] as const]
        : []),
    ]
  },
  run: async (ctx, input) => {
    const plan = await prepare(ctx, input)
    return await transact(ctx.db, (tx) => insertAll(ctx, tx, input, plan))
  },
})

interface Plan {
  projectId: string
  flavor: Flavor
  image: BootImage | null
  /** Null: of a server that boots from a volume. */
  imageId: string | null
  volumes: readonly VolumeWish[]
  key: { name: string; publicKey: string; type: string } | null
  zone: ZoneRequest
  forcedHost: string | null
  serverGroupId: string | null
  ports: PlannedServerPorts
  /** As far as the quota of ports goes. */
  countMost: number
}

/** Looks at everything that the request names. Nova answers 400 for what is not there. */
async function prepare(ctx: Ctx, input: CreateServersInput): Promise<Plan> {
  const { projectId } = ctx.caller
  if (!projectId) throw badRequest("A server needs a project: use a token with project scope.")
  if (input.minCount > input.maxCount) throw badRequest("min_count must be <= max_count")
  checkCount(ctx, input.maxCount)
  if (input.hostname !== null && input.maxCount > 1)
    throw badRequest("Unable to allocate a single hostname to multiple instances")
  checkUserData(ctx, input.userData)
  checkContents(input.injectedFiles ?? [])
  const zone = parseZone(input.availabilityZone)
  if (zone.host && input.requestedHost) {
    throw badRequest(
      "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are " +
        "mutually exclusive.",
    )
  }
  await checkZone(ctx, zone, input.requestedHost)
  const disks = readDisks(input)
  const hint = [input.schedulerHints.group].flat()[0]
  const [boot, key, [ports, countMost], serverGroupId] = await allOrFirst(
    flavorAndDisks(ctx, input, disks),
    input.keyName === null ? null : usableKey(ctx, input.keyName),
    portsOf(ctx, projectId, input),
    typeof hint === "string" ? usableServerGroup(ctx, hint) : null,
  )
  const forcedHost = zone.host ?? input.requestedHost
  return { projectId, ...boot, key, zone, forcedHost, serverGroupId, ports, countMost }
}

async function flavorAndDisks(
  ctx: Ctx,
  input: CreateServersInput,
  { imageId, volumes }: DiskRequest,
): Promise<Pick<Plan, "flavor" | "image" | "imageId" | "volumes">> {
  const { flavorId, blockDevices } = input
  const named = imageId ?? input.imageId
  const [flavor, image, planned] = await allOrFirst(
    usableFlavor(ctx, flavorId),
    named === null ? null : bootImage(ctx, named),
    planVolumes(ctx, volumes, input),
  )
  const ofImage = image ? devicesOfImage(image) : []
  if (image && ofImage.length > 0) {
    const merged = { ...input, blockDevices: mergeDevices(image.id, blockDevices, ofImage) }
    const disks = readDisks(merged)
    const all = await planVolumes(ctx, disks.volumes, input)
    return fitting(ctx, merged, disks, { flavor, local: disks.imageId === null ? null : image, ...all })
  }
  return fitting(ctx, input, { imageId }, { flavor, local: imageId === null ? null : image, ...planned })
}

/** Throws when the flavor is too small for what it is to boot. */
function fitting(
  ctx: Ctx,
  { blockDevices }: Pick<CreateServersInput, "blockDevices">,
  { imageId }: Pick<DiskRequest, "imageId">,
  { flavor, local, wishes, boot }: PlannedVolumes & { flavor: Flavor; local: BootImage | null },
): Pick<Plan, "flavor" | "image" | "imageId" | "volumes"> {
  const size = snapshotOf(flavor)
  checkLocalDisks(blockDevices, size)
  const image = local ?? boot?.image ?? null
  checkHardware(size, image)
  if (local) checkImageFits(local, size)
  else if (boot?.image) checkVolumeFits(boot.image, boot.sizeGib, size)
  if (local) checkZeroDisk(ctx, flavor)
  return { flavor, image, imageId, volumes: wishes }
}

async function portsOf(
  ctx: Ctx,
  projectId: string,
  input: CreateServersInput,
): Promise<[PlannedServerPorts, number]> {
  const { networks, securityGroups } = input
  const ports = await planServerPorts(ctx, { networks, securityGroups: securityGroups ?? [] })
  return [ports, await roomForServers(ctx, projectId, ports, input)]
}

/** A request without a quota is bounded as well: its rows are made in one transaction, while the client waits. */
function checkCount(ctx: Ctx, count: number): void {
  const most = ctx.config.compute.createServersMost
  if (count <= most) return
  throw badRequest(
    `Invalid input for field/attribute max_count. Value: ${count}. ${count} is greater than the maximum of ${most}`,
  )
}

function checkUserData(ctx: Ctx, userData: string | null): void {
  if (userData === null) return
  const most = ctx.config.compute.userDataBytesMost
  if (userData.length > most)
    throw badRequest(
      `User data too large. User data must be no larger than ${most} bytes once base64 encoded. Your data is ${userData.length} bytes`,
    )
  if (!/^[A-Za-z0-9+/\s]*(={1,2}\s*)?$/.test(userData))
    throw badRequest("User data needs to be valid base 64.")
}

async function usableFlavor(ctx: Ctx, flavorId: string): Promise<Flavor> {
  let flavor: Flavor
  try {
    flavor = await findFlavor(ctx, flavorId)
  } catch (error) {
    if (error instanceof Fault && error.kind === "not_found")
      throw badRequest(`Flavor ${flavorId} could not be found.`)
    throw error
  }
  if (flavor.isDisabled) throw badRequest(`Flavor ${flavorId} could not be found.`)
  return flavor
}

function checkZeroDisk(ctx: Ctx, flavor: Flavor): void {
  if (flavor.diskGib > 0) return
  const target = { project_id: ctx.caller.projectId, user_id: ctx.caller.userId }
  if (ctx.policy.isAllowed(ctx.caller, "os_compute_api:servers:create:zero_disk_flavor", target)) return
  throw zeroDiskFlavor()
}

export async function usableKey(ctx: Ctx, name: string) {
  try {
    return await findKeypair(ctx, { userId: ctx.caller.userId, name })
  } catch (error) {
    if (error instanceof Fault && error.kind === "not_found") throw badRequest("Invalid key_name provided.")
    throw error
  }
}

export function snapshotOf(flavor: Flavor): FlavorSnapshot {
  return {
    id: String(flavor.id),
    flavorId: flavor.flavorId,
    name: flavor.name,
    vcpus: flavor.vcpus,
    ramMib: flavor.ramMib,
    diskGib: flavor.diskGib,
    ephemeralGib: flavor.ephemeralGib,
    swapMib: flavor.swapMib,
    rxtxFactor: flavor.rxtxFactor,
    isPublic: flavor.isPublic,
    extraSpecs: flavor.extraSpecs,
  }
}

async function insertAll(ctx: Ctx, tx: Tx, input: CreateServersInput, plan: Plan): Promise<Server[]> {
  const { serverGroupId, projectId } = plan
  const { userId } = ctx.caller
  const { injectedFiles = [] } = input
  await checkInjectedFiles(ctx, tx, { projectId, userId }, injectedFiles)
  const count = await holdRoomForServers(ctx, tx, {
    ...plan,
    countLeast: input.minCount,
    metadata: input.metadata,
  })
  if (serverGroupId !== null) await joinServerGroup(ctx, tx, { serverGroupId, projectId, userId, count })
  const rows = newServers(ctx, input, plan, count)
  const servers = await insertServers(tx, rows)
  if (plan.volumes.length > 0) await insertVolumes(ctx, tx, servers, plan.volumes)
  const ids = servers.map((server) => server.id)
  await keepAdminPassword(ctx, tx, ids, input.adminPassword)
  await keepInjectedFiles(tx, ids, injectedFiles)
  const actor = actorOf(ctx)
  await recordActions(
    tx,
    ids.map((serverId) => ({ serverId, action: "create", ...actor })),
  )
  await notifyServers(ctx, tx, servers, "create.start", actor)
  const { forcedHost } = plan
  const { requestId } = ctx
  await ctx.sagas.startMany(
    tx,
    plan.volumes.length > 0 ? createServerWithVolumesSaga : createServerSaga,
    servers.map(({ id, generation }) => ({
      params: { serverId: id, generation, ...actor, forcedHost, attempt: 1, excludedHosts: [] },
      requestId,
      resourceId: id,
    })),
  )
  return servers
}

/** Volumes that are there are reserved; those that are to be made are noted. */
async function insertVolumes(
  ctx: Ctx,
  tx: Tx,
  servers: readonly Server[],
  wishes: readonly VolumeWish[],
): Promise<void> {
  const devices: NewBlockDevice[] = []
  for (const server of servers) {
    for (const device of devicesOf(server, wishes)) {
      const attachmentId = device.volumeId === null ? null : await reserved(ctx, tx, server, device)
      devices.push({ ...device, attachmentId })
    }
  }
  await insertDevices(tx, devices)
}

async function reserved(ctx: Ctx, tx: Tx, server: Server, device: NewBlockDevice): Promise<string> {
  const { id: serverId, projectId } = server
  const volumeId = device.volumeId ?? ""
  try {
    const { id } = await reserveVolume(ctx, tx, { volumeId, serverId, projectId, device: device.deviceName })
    return id
  } catch (error) {
    if (error instanceof Fault && error.kind === "not_found")
      throw badRequest(`Block Device Mapping is Invalid: failed to get volume ${volumeId}.`)
    throw error
  }
}

/** Where the volume that it boots from is said to be. */
function rootDeviceOf(wishes: readonly VolumeWish[]): string {
  const name = wishes.find(({ bootIndex }) => bootIndex === 0)?.deviceName
  return name ? (name.startsWith("/dev/") ? name : `/dev/${name}`) : "/dev/vda"
}

function newServers(ctx: Ctx, input: CreateServersInput, plan: Plan, count: number): NewServer[] {
  const reservationId = `r-${newHexId().slice(0, 8)}`
  const { image } = plan
  return Array.from({ length: count }, (_, index) => {
    const id = newUuid()
    const name = input.maxCount > 1 ? `${input.name}-${index + 1}` : input.name
    return {
      id,
      projectId: plan.projectId,
      userId: ctx.caller.userId,
      name,
      description: input.description,
      hostname: input.hostname ?? hostnameOf(name, id),
      vmState: "building",
      taskState: "scheduling",
      pinnedAvailabilityZone: plan.zone.zone,
      imageId: plan.imageId,
      flavor: snapshotOf(plan.flavor),
      metadata: input.metadata,
      systemMetadata: { ...(image && imageFacts(image)), ...keptForcedHost(plan.forcedHost) },
      tags: [...new Set(input.tags)].sort(),
      keyName: plan.key?.name ?? null,
      keyType: plan.key?.type ?? null,
      publicKey: plan.key?.publicKey ?? null,
      userData: input.userData,
      hasConfigDrive: input.hasConfigDrive || image?.properties.img_config_drive === "mandatory",
      hasAutoDiskConfig: input.hasAutoDiskConfig,
      rootDeviceName: rootDeviceOf(plan.volumes),
      kernelId: image?.properties.kernel_id ?? null,
      ramdiskId: image?.properties.ramdisk_id ?? null,
      accessIpV4: input.accessIpV4,
      accessIpV6: input.accessIpV6,
      securityGroups: input.securityGroups ?? [],
      requestedNetworks: plan.ports,
      schedulerHints: input.schedulerHints,
      serverGroupId: plan.serverGroupId,
      trustedImageCertificates: input.trustedImageCertificates,
      hasVolumes: plan.volumes.length > 0,
      blockDevices: [],
      reservationId,
      launchIndex: index,
    }
  })
}
