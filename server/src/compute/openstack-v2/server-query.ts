// The query of GET /servers: what each parameter means, who may use it, and from which microversion on.

import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { type Page, readPage } from "../../platform/http/paging.ts"
import { booleanWord, queryAll, queryText } from "../../platform/http/query.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import {
  badRequest,
  deletedListForbidden,
  isAdmin,
  type RegexColumn,
  regexColumns,
  type ServerFilter,
  sortForbidden,
  statesOf,
  type VmState,
} from "../index.ts"

type Query = WireRequest["query"]

const sortKeys: Readonly<Record<string, string>> = {
  access_ip_v4: "accessIpV4",
  access_ip_v6: "accessIpV6",
  auto_disk_config: "hasAutoDiskConfig",
  availability_zone: "availabilityZone",
  config_drive: "hasConfigDrive",
  created_at: "createdAt",
  display_description: "description",
  display_name: "name",
  host: "host",
  hostname: "hostname",
  image_ref: "imageId",
  instance_type_id: "flavorId",
  kernel_id: "kernelId",
  key_name: "keyName",
  launch_index: "launchIndex",
  launched_at: "launchedAt",
  locked_by: "lockedBy",
  node: "host",
  power_state: "powerState",
  progress: "progress",
  project_id: "projectId",
  ramdisk_id: "ramdiskId",
  root_device_name: "rootDeviceName",
  task_state: "taskState",
  terminated_at: "terminatedAt",
  updated_at: "updatedAt",
  user_id: "userId",
  uuid: "id",
  vm_state: "vmState",
}
/** Columns of Nova's own table that it takes and does not sort by. */
const ignoredSortKeys = new Set([
  "architecture",
  "cell_name",
  "cleaned",
  "default_ephemeral_device",
  "default_swap_device",
  "deleted",
  "deleted_at",
  "disable_terminate",
  "ephemeral_gb",
  "ephemeral_key_uuid",
  "id",
  "key_data",
  "launched_on",
  "locked",
  "memory_mb",
  "os_type",
  "reservation_id",
  "root_gb",
  "shutdown_terminate",
  "user_data",
  "vcpus",
  "vm_mode",
])
const joinedTables = new Set([
  "block_device_mapping",
  "services",
  "metadata",
  "system_metadata",
  "info_cache",
  "security_groups",
  "pci_devices",
])
const pagingParameters = new Set(["limit", "marker", "sort_key", "sort_dir"])

/** What everybody may filter by, from the microversion on. */
const openFilters: readonly (readonly [from: string, names: readonly string[]])[] = [
  ["2.1", ["reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants"]],
  ["2.5", ["ip6"]],
  ["2.26", ["tags", "tags-any", "not-tags", "not-tags-any"]],
  ["2.66", ["changes-before"]],
  ["2.73", ["locked"]],
  [
    "2.83",
    [
      "availability_zone",
      "config_drive",
      "key_name",
      "created_at",
      "launched_at",
      "terminated_at",
      "power_state",
      "task_state",
      "vm_state",
      "progress",
      "user_id",
    ],
  ],
  ["2.90", ["hostname"]],
]

/** Every parameter that there is; from 2.75 on anything else is refused. */
const knownFilters: ReadonlySet<string> = new Set([
  ...openFilters.flatMap(([, names]) => names),
  ...joinedTables,
  ...pagingParameters,
  ...Object.keys(regexColumns),
  "project_id",
  "tenant_id",
  "launch_index",
  "image_ref",
  "host",
  "display_name",
  "display_description",
  "uuid",
  "auto_disk_config",
  "soft_deleted",
  "deleted",
])

export interface ServerQuery {
  filter: ServerFilter
  page: Page
  /** A status that there is not: the list is empty. */
  isEmpty: boolean
  isAllTenants: boolean
}

export function readServerQuery(ctx: Ctx, query: Query, version: Microversion): ServerQuery {
  checkNames(query, version)
  const seesAll = ctx.policy.isAllowed(ctx.caller, "os_compute_api:servers:allow_all_filters", {
    project_id: ctx.caller.projectId,
  })
  const open = new Set(openFilters.flatMap(([from, names]) => (atLeast(version, from) ? names : [])))
  // Filters of others than these are dropped without a word for everybody but administrators, as Nova does.
  const text = (name: string) => (seesAll || open.has(name) ? queryText(query, name) : undefined)
  for (const key of Object.keys(query))
    if ((seesAll || open.has(key)) && (joinedTables.has(key) || key.startsWith("_")))
      throw badRequest(`Invalid filter field: ${key}.`)
  const isAllTenants = readAllTenants(text("all_tenants"))
  const filter = baseFilter(ctx, text, isAllTenants)
  const isEmpty = addStates(ctx, filter, query, text, version)
  addExact(filter, text)
  addRegex(filter, text)
  addTimes(filter, text, version)
  addTags(filter, text)
  return { filter, page: readServerPage(ctx, query, version), isEmpty, isAllTenants }
}

type Text = (name: string) => string | undefined

function checkNames(query: Query, version: Microversion): void {
  if (!atLeast(version, "2.75")) return
  for (const name of Object.keys(query))
    if (!knownFilters.has(name) && !name.startsWith("_"))
      throw badRequest(`Additional properties are not allowed ('${name}' was unexpected)`)
}

function looseBoolean(value: string | undefined): boolean {
  return value !== undefined && booleanWord(value.trim()) === true
}

function readAllTenants(value: string | undefined): boolean {
  if (value === undefined) return false
  // `?all_tenants` alone means yes.
  if (value === "") return true
  const found = booleanWord(value.trim())
  if (found !== undefined) return found
  throw badRequest(`Invalid value for all_tenants: ${JSON.stringify(value)}; use 1 or 0.`)
}

function baseFilter(ctx: Ctx, text: Text, isAllTenants: boolean): ServerFilter {
  const deleted = text("deleted")
  const hasChanges = text("changes-since") !== undefined || text("changes-before") !== undefined
  const asked = text("project_id") ?? text("tenant_id") ?? null
  return {
    projectId: isAllTenants ? asked : ctx.caller.projectId,
    isDeleted: deleted === undefined ? (hasChanges ? null : false) : looseBoolean(deleted),
  }
}

/** Returns whether nothing can match. */
function addStates(ctx: Ctx, filter: ServerFilter, query: Query, text: Text, version: Microversion): boolean {
  const vmState = text("vm_state")
  const taskState = text("task_state")
  if (vmState !== undefined) filter.vmStates = [vmState as VmState]
  // Any text: a state that there is not matches nothing.
  if (taskState !== undefined)
    filter.taskStates = [taskState] as unknown as NonNullable<ServerFilter["taskStates"]>
  const statuses = queryAll(query, "status")
  if (statuses.length === 0) return false
  const states = statesOf(statuses)
  if (!states) {
    if (atLeast(version, "2.38")) throw badRequest("Invalid status value")
    return true
  }
  filter.vmStates = states.vmStates
  if (states.taskStates) filter.taskStates = states.taskStates
  if (states.vmStates.length === 1 && states.vmStates[0] === "deleted") {
    if (!isAdmin(ctx)) throw deletedListForbidden()
    filter.isDeleted = true
  }
  return false
}

const powerWords: Readonly<Record<string, number>> = {
  pending: 0,
  nostate: 0,
  running: 1,
  paused: 3,
  shutdown: 4,
  crashed: 6,
  suspended: 7,
}

function addExact(filter: ServerFilter, text: Text): void {
  const image = text("image") ?? text("image_ref")
  const flavor = text("flavor")
  const host = text("host")
  const userId = text("user_id")
  const uuid = text("uuid")
  const power = text("power_state")
  const locked = text("locked")
  const configDrive = text("config_drive")
  const diskConfig = text("auto_disk_config")
  const [ip, ip6] = [text("ip"), text("ip6")]
  if (image !== undefined) filter.imageId = lastPart(image)
  if (flavor !== undefined) filter.flavorId = lastPart(flavor)
  if (host !== undefined) filter.host = host
  if (userId !== undefined) filter.userId = userId
  if (uuid !== undefined) filter.ids = [uuid]
  if (power !== undefined)
    filter.powerState = powerWords[power.toLowerCase()] ?? integer("power_state", power)
  if (locked !== undefined) filter.isLocked = looseBoolean(locked)
  if (configDrive !== undefined) filter.hasConfigDrive = looseBoolean(configDrive)
  if (diskConfig !== undefined) filter.hasAutoDiskConfig = looseBoolean(diskConfig)
  if (ip !== undefined) filter.ip = ip
  if (ip6 !== undefined) filter.ip6 = ip6
  const progress = text("progress")
  const launchIndex = text("launch_index")
  if (progress !== undefined) filter.progress = integer("progress", progress)
  if (launchIndex !== undefined) filter.launchIndex = integer("launch_index", launchIndex)
}

/** Older clients send the address of a thing where its id is meant. */
function lastPart(reference: string): string {
  return reference.split("/").at(-1) ?? reference
}

function integer(name: string, value: string): number {
  if (!/^\d+$/.test(value))
    throw badRequest(`Invalid input for filter ${name}: ${JSON.stringify(value)} is no number.`)
  return Number(value)
}

const aliases: Readonly<Record<string, RegexColumn>> = {
  display_name: "name",
  display_description: "description",
}

function addRegex(filter: ServerFilter, text: Text): void {
  const regex: Partial<Record<RegexColumn, string>> = {}
  for (const name of [...Object.keys(regexColumns), ...Object.keys(aliases)]) {
    const value = text(name)
    if (value === undefined) continue
    try {
      new RegExp(value)
    } catch {
      throw badRequest(
        `Invalid input for query parameters ${name}. Value: ${value}. It is not a regular expression.`,
      )
    }
    regex[aliases[name] ?? (name as RegexColumn)] = value
  }
  filter.regex = regex
}

const dayPattern = String.raw`(\d{4})-?(\d\d)-?(\d\d)`
const clockPattern = String.raw`[T ](\d\d):?(\d\d)(?::?(\d\d)(\.\d+)?)?`
const timePattern = new RegExp(`^${dayPattern}(?:${clockPattern}(Z|[+-]\\d\\d(?::?\\d\\d)?)?)?$`, "i")

/** ISO 8601, in its long form or its short one (20200101T000000Z); UTC where no zone is said. */
export function readTime(name: string, value: string): Date {
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", zone = "Z"] =
    timePattern.exec(value) ?? []
  const offset = /^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone.replace(/^([+-]\d\d)(\d\d)$/, "$1:$2")
  const date = new Date(
    `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction.slice(0, 4)}${offset.toUpperCase()}`,
  )
  if (Number.isNaN(date.getTime()))
    throw badRequest(
      `Invalid input for query parameters ${name}. Value: ${value}. '${value}' is not a 'date-time'`,
    )
  return date
}

function addTimes(filter: ServerFilter, text: Text, version: Microversion): void {
  const since = text("changes-since")
  const before = atLeast(version, "2.66") ? text("changes-before") : undefined
  if (since !== undefined) filter.changesSince = readTime("changes-since", since)
  if (before !== undefined) filter.changesBefore = readTime("changes-before", before)
  if (filter.changesSince && filter.changesBefore && filter.changesBefore < filter.changesSince)
    throw badRequest("The value of changes-since must be less than or equal to changes-before.")
}

function addTags(filter: ServerFilter, text: Text): void {
  const [all, any, notAll, notAny] = ["tags", "tags-any", "not-tags", "not-tags-any"].map((name) =>
    text(name)?.split(","),
  )
  if (all) filter.allTags = all
  if (any) filter.anyTags = any
  if (notAll) filter.notAllTags = notAll
  if (notAny) filter.notAnyTags = notAny
}

function readServerPage(ctx: Ctx, query: Query, version: Microversion): Page {
  const keys = queryAll(query, "sort_key")
  const directions = queryAll(query, "sort_dir")
  for (const direction of directions)
    if (direction !== "asc" && direction !== "desc")
      throw badRequest(
        `Invalid input for query parameters sort_dir. Value: ${direction}. '${direction}' is not one of ['asc', 'desc']`,
      )
  const allowed = atLeast(version, "2.73") ? { ...sortKeys, locked: "lockedBy" } : sortKeys
  const used = keys
    .map((key, i) => [key, directions[i]] as const)
    .filter(([key]) => key in allowed || !ignoredSortKeys.has(key) || atLeast(version, "2.75"))
  for (const [key] of used) if ((key === "host" || key === "node") && !isAdmin(ctx)) throw sortForbidden(key)
  const rest: Record<string, string | string[] | undefined> = { ...query }
  rest.sort_key = used.map(([key]) => key)
  rest.sort_dir = used.map(([, direction]) => direction ?? "desc")
  return readPage(rest, {
    sortKeys: allowed,
    defaultSorts: [{ key: "createdAt", direction: "desc" }],
    limitMax: ctx.config.compute.listLimitMost,
  })
}
