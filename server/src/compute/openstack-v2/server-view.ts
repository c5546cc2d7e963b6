// A server as Nova shows it, by microversion. What a request shows is decided once for it, not for each server.

import { type TSchema, Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import type { ServerAddress, ServerNetworking } from "../../network/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { versions } from "../../platform/http/versions.ts"
import { mapOf, nullable } from "../../platform/schema/make.ts"
import {
  type AttachedDevice,
  type Host,
  hostIdOf,
  hostStatusOf,
  instanceNameOf,
  isAdmin,
  type ListedServer,
  noNetworking,
  statusOf,
} from "../index.ts"

const { text, textOrNull, count, rare } = is

const brief = { id: text, name: text, links: is.links }

const addressBrief = { version: count, addr: text }
const addressWhole = { ...addressBrief, "OS-EXT-IPS:type": text, "OS-EXT-IPS-MAC:mac_addr": text }
const addressesOf = (members: typeof addressBrief) => mapOf(Type.Array(Type.Object(members)))
export const briefAddresses = addressesOf(addressBrief)

const linked = Type.Object({ id: text, links: is.links })
const flavorKept = Type.Object({
  ...{ vcpus: count, ram: count, disk: count, ephemeral: count, swap: count, original_name: text },
  extra_specs: rare(is.textMap),
})
const fault = Type.Object({ code: count, created: text, message: text, details: rare(text) })
const groupNames = Type.Array(Type.Object({ name: text }))
const attribute = "OS-EXT-SRV-ATTR:"

const volume = { id: text }
const volume203 = { ...volume, delete_on_termination: is.flag }

function attachedVolumes(wholeFrom: number): is.Shape {
  const since203 = Type.Array(Type.Object(volume203))
  if (wholeFrom >= 3) return is.from(`2.${wholeFrom}`, since203)
  return versions({ "2.1": Type.Array(Type.Object(volume)), "2.3": since203 })
}

/** Some answers are not whole before 2.75: `wholeFrom` is that minor, or 1. */
function serverMembers(wholeFrom: number): is.Members {
  const whole = (minor: number, schema: TSchema) => is.from(`2.${Math.max(minor, wholeFrom)}`, schema)
  const some = (names: string, schema: is.Shape) => is.each(names.replaceAll("@", attribute), schema)
  return {
    ...brief,
    ...some("status tenant_id user_id hostId created updated accessIPv4 accessIPv6 OS-DCF:diskConfig", text),
    metadata: is.textMap,
    image: Type.Union([Type.Literal(""), linked]),
    flavor: versions({ "2.1": linked, "2.47": flavorKept }),
    addresses: versions({ "2.1": briefAddresses, [`2.${wholeFrom}`]: addressesOf(addressWhole) }),
    progress: rare(count),
    fault: rare(fault),
    ...some("config_drive OS-EXT-AZ:availability_zone OS-EXT-STS:vm_state", whole(1, text)),
    ...some("OS-SRV-USG:launched_at OS-SRV-USG:terminated_at OS-EXT-STS:task_state", whole(1, textOrNull)),
    "OS-EXT-STS:power_state": whole(1, count),
    "os-extended-volumes:volumes_attached": attachedVolumes(wholeFrom),
    security_groups: whole(1, rare(groupNames)),
    key_name: whole(1, textOrNull),
    ...some("@host @hypervisor_hostname", whole(1, rare(textOrNull))),
    ...some("@instance_name", whole(1, rare(text))),
    ...some("@kernel_id @ramdisk_id @reservation_id", whole(3, rare(text))),
    ...some("@root_device_name @user_data", whole(3, rare(textOrNull))),
    ...some("@launch_index", whole(3, rare(count))),
    ...some("@hostname", versions({ [`2.${Math.max(3, wholeFrom)}`]: rare(text), "2.90": text })),
    locked: is.from("2.9", is.flag),
    host_status: whole(16, rare(text)),
    description: is.from("2.19", textOrNull),
    tags: is.from("2.26", is.texts),
    trusted_image_certificates: is.from("2.63", nullable(is.texts)),
    locked_reason: is.from("2.73", textOrNull),
    pinned_availability_zone: whole(96, textOrNull),
  }
}

const notWhole = serverMembers(75)
const { [`${attribute}user_data`]: _dropped, ...withoutUserData } = notWhole
const rebuilt = { key_name: is.from("2.54", textOrNull), user_data: is.from("2.57", textOrNull) }
const groups = { server_groups: is.from("2.71", is.texts) }
const adminPass = rare(text)
const made = { id: text, links: is.links, "OS-DCF:diskConfig": text, security_groups: groupNames, adminPass }
const serverOf = (title: string, ...members: is.Members[]) =>
  is.one("server", is.shape(title, Object.assign({}, ...members)))

/** For documents: what answers show of servers. */
export const told = {
  list: is.page("servers", is.shape("ServerBrief", brief)),
  details: is.page("servers", is.shape("ServerInList", serverMembers(1))),
  one: serverOf("Server", serverMembers(1), groups),
  changed: serverOf("ServerChanged", notWhole, groups),
  rebuilt: serverOf("ServerRebuilt", withoutUserData, groups, rebuilt, { adminPass }),
  made: { answer: Type.Object({ server: rare(Type.Object(made)), reservation_id: rare(text) }) },
}

export interface ServerViewPlan {
  baseUrl: string
  minor: number
  /** False in replies to PUT and rebuild before 2.75, which show less. */
  isWhole: boolean
  showsExtendedAttributes: boolean
  showsExtraSpecs: boolean
  showsHostStatus: boolean
  showsHostStatusUnknown: boolean
  showsFaultDetails: boolean
  showsServerGroups: boolean
  showsKeyName: boolean
  /** Hosts by name, when host_status is shown. */
  hosts: ReadonlyMap<string, Host>
  downAfterMs: number
}

export function serverViewPlan(
  ctx: Ctx,
  version: Microversion,
  options: {
    isWhole?: boolean
    showsServerGroups?: boolean
    showsKeyName?: boolean
    projectId?: string
  } = {},
): ServerViewPlan {
  const { isWhole = true, showsServerGroups = false } = options
  const target = { project_id: options.projectId ?? ctx.caller.projectId, user_id: ctx.caller.userId }
  const may = (rule: string) => ctx.policy.isAllowed(ctx.caller, `os_compute_api:${rule}`, target)
  const knowsStatus = isWhole && atLeast(version, "2.16")
  return {
    baseUrl: ctx.baseUrl,
    minor: version.minor,
    isWhole,
    showsExtendedAttributes: isWhole && may("os-extended-server-attributes"),
    showsExtraSpecs: atLeast(version, "2.47") && may("servers:show:flavor-extra-specs"),
    showsHostStatus: knowsStatus && may("servers:show:host_status"),
    showsHostStatusUnknown: knowsStatus && may("servers:show:host_status:unknown-only"),
    showsFaultDetails: isAdmin(ctx),
    showsServerGroups: showsServerGroups && atLeast(version, "2.71"),
    showsKeyName: options.showsKeyName ?? isWhole,
    hosts: new Map(),
    downAfterMs: ctx.config.compute.serviceDownAfterMs,
  }
}

const progressStatuses = new Set(["ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"])

const twoDigits = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, "0"))

/** A page has hundreds of times; this takes a fifth of what `toISOString` takes. */
function upToSeconds(date: Date): string {
  const day = `${date.getUTCFullYear()}-${twoDigits[date.getUTCMonth() + 1]}-${twoDigits[date.getUTCDate()]}`
  const hour = twoDigits[date.getUTCHours()]
  return `${day}T${hour}:${twoDigits[date.getUTCMinutes()]}:${twoDigits[date.getUTCSeconds()]}`
}

/** Whole seconds, as Nova writes `created`. */
export function seconds(date: Date): string {
  return `${upToSeconds(date)}Z`
}

/** Without a zone and with microseconds, as Nova writes the usage times. */
function micros(date: Date | null): string | null {
  return date && `${upToSeconds(date)}.${String(date.getUTCMilliseconds()).padStart(3, "0")}000`
}

export function linksOf(baseUrl: string, serverId: string) {
  return [
    { rel: "self", href: `${baseUrl}/compute/v2.1/servers/${serverId}` },
    { rel: "bookmark", href: `${baseUrl}/compute/servers/${serverId}` },
  ]
}

export function viewServerBrief(baseUrl: string, server: Pick<ListedServer, "id" | "name">) {
  return { id: server.id, name: server.name, links: linksOf(baseUrl, server.id) }
}

export function viewServer(
  plan: ServerViewPlan,
  server: ListedServer,
  networking: ServerNetworking = noNetworking,
  volumes: readonly AttachedDevice[] = [],
): Record<string, unknown> {
  const { minor } = plan
  const status = server.deletedAt ? "DELETED" : statusOf(server.vmState, server.taskState)
  const view: Record<string, unknown> = {
    id: server.id,
    name: server.name,
    status,
    tenant_id: server.projectId,
    user_id: server.userId,
    metadata: server.metadata,
    hostId: hostIdOf(server.projectId, server.host),
    image: viewImage(plan, server),
    flavor: viewFlavor(plan, server),
    created: seconds(server.createdAt),
    updated: seconds(server.updatedAt),
    addresses: viewAddresses(server, networking, plan.isWhole),
    accessIPv4: server.accessIpV4 ?? "",
    accessIPv6: server.accessIpV6 ?? "",
    links: linksOf(plan.baseUrl, server.id),
    "OS-DCF:diskConfig": server.hasAutoDiskConfig ? "AUTO" : "MANUAL",
  }
  if (progressStatuses.has(status)) view.progress = server.progress
  if (plan.isWhole) addWhole(view, server, networking)
  if (plan.isWhole)
    view["os-extended-volumes:volumes_attached"] = volumes.map((each) => viewVolume(plan, each))
  if (plan.showsKeyName) view.key_name = server.keyName
  if (plan.showsExtendedAttributes) addExtendedAttributes(plan, view, server)
  if ((status === "ERROR" || status === "DELETED") && server.fault) view.fault = viewFault(plan, server.fault)
  if (minor >= 9) view.locked = server.lockedBy !== null
  if (minor >= 16) addHostStatus(plan, view, server)
  if (minor >= 19) view.description = server.description
  if (minor >= 26) view.tags = server.tags
  if (minor >= 63) view.trusted_image_certificates = server.trustedImageCertificates
  if (plan.showsServerGroups) view.server_groups = server.serverGroupId === null ? [] : [server.serverGroupId]
  if (minor >= 73) view.locked_reason = server.lockedReason
  if (minor >= 90 && !plan.showsExtendedAttributes) view["OS-EXT-SRV-ATTR:hostname"] = server.hostname
  if (minor >= 96 && plan.isWhole) view.pinned_availability_zone = server.pinnedAvailabilityZone
  return view
}

function addWhole(view: Record<string, unknown>, server: ListedServer, networking: ServerNetworking): void {
  view.config_drive = server.hasConfigDrive ? "True" : ""
  view["OS-EXT-AZ:availability_zone"] = server.availabilityZone ?? server.pinnedAvailabilityZone ?? ""
  view["OS-SRV-USG:launched_at"] = micros(server.launchedAt)
  view["OS-SRV-USG:terminated_at"] = micros(server.terminatedAt)
  view["OS-EXT-STS:task_state"] = server.taskState
  view["OS-EXT-STS:vm_state"] = server.vmState
  view["OS-EXT-STS:power_state"] = server.powerState
  // Before there is a port the groups asked for are the best that is known.
  const groups = networking.securityGroups.length > 0 ? networking.securityGroups : server.securityGroups
  if (groups && groups.length > 0) view.security_groups = groups.map((name) => ({ name }))
}

function viewVolume({ minor }: ServerViewPlan, { volumeId, deleteOnTermination }: AttachedDevice) {
  return minor >= 3 ? { id: volumeId, delete_on_termination: deleteOnTermination } : { id: volumeId }
}

function addExtendedAttributes(
  plan: ServerViewPlan,
  view: Record<string, unknown>,
  server: ListedServer,
): void {
  const prefix = "OS-EXT-SRV-ATTR:"
  view[`${prefix}host`] = server.host
  view[`${prefix}hypervisor_hostname`] = server.host
  view[`${prefix}instance_name`] = instanceNameOf(server)
  if (plan.minor < 3) return
  view[`${prefix}hostname`] = server.hostname
  view[`${prefix}kernel_id`] = server.kernelId ?? ""
  view[`${prefix}ramdisk_id`] = server.ramdiskId ?? ""
  view[`${prefix}launch_index`] = server.launchIndex
  view[`${prefix}reservation_id`] = server.reservationId
  view[`${prefix}root_device_name`] = server.rootDeviceName
  view[`${prefix}user_data`] = server.userData ?? null
}

function addHostStatus(plan: ServerViewPlan, view: Record<string, unknown>, server: ListedServer): void {
  if (!plan.showsHostStatus && !plan.showsHostStatusUnknown) return
  const host = server.host === null ? undefined : plan.hosts.get(server.host)
  const status = hostStatusOf(host, plan.downAfterMs)
  if (plan.showsHostStatus || status === "UNKNOWN") view.host_status = status
}

function viewImage(plan: ServerViewPlan, server: ListedServer): unknown {
  if (server.imageId === null) return ""
  return {
    id: server.imageId,
    links: [{ rel: "bookmark", href: `${plan.baseUrl}/compute/images/${server.imageId}` }],
  }
}

function viewFlavor(plan: ServerViewPlan, server: ListedServer): unknown {
  const { flavor } = server
  if (plan.minor >= 47) {
    return {
      vcpus: flavor.vcpus,
      ram: flavor.ramMib,
      disk: flavor.diskGib,
      ephemeral: flavor.ephemeralGib,
      swap: flavor.swapMib,
      original_name: flavor.name,
      ...(plan.showsExtraSpecs && { extra_specs: flavor.extraSpecs }),
    }
  }
  const id = encodeURIComponent(flavor.flavorId)
  return {
    id: flavor.flavorId,
    links: [{ rel: "bookmark", href: `${plan.baseUrl}/compute/flavors/${id}` }],
  }
}

export function viewAddress(address: ServerAddress, isWhole: boolean): Record<string, unknown> {
  return isWhole
    ? {
        version: address.version,
        addr: address.address,
        "OS-EXT-IPS:type": address.type,
        "OS-EXT-IPS-MAC:mac_addr": address.macAddress,
      }
    : { version: address.version, addr: address.address }
}

export function viewAddresses(
  server: Pick<ListedServer, "vmState">,
  networking: ServerNetworking,
  isWhole: boolean,
): Record<string, unknown[]> {
  const views: Record<string, unknown[]> = {}
  // Hidden while it is built, as they may change yet.
  if (server.vmState === "building") return views
  for (const address of networking.addresses) {
    const view = viewAddress(address, isWhole)
    const list = views[address.label]
    if (list) list.push(view)
    else views[address.label] = [view]
  }
  return views
}

function viewFault(plan: ServerViewPlan, fault: NonNullable<ListedServer["fault"]>) {
  return {
    code: fault.code,
    created: seconds(new Date(fault.createdAt)),
    message: fault.message,
    ...(fault.details && plan.showsFaultDetails && { details: fault.details }),
  }
}
