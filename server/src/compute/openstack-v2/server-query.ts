// The query of GET /servers: what each parameter means, who may use it, and from which microversion on.

import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { type Page, readPage } from "../../platform/http/paging.ts"
import { booleanWord, queryAll, queryText } from "../../platform/http/query.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import { type Field, publicName } from "../../platform/noun/field.ts"
import type { Compared, Filters } from "../../platform/noun/list.ts"
import { filterSchemas, many } from "../../platform/noun/query-schema.ts"
import {
  badRequest,
  deletedListForbidden,
  isAdmin,
  type ServersAsked,
  serverNoun,
  sortForbidden,
  statesOf,
} from "../index.ts"
import { type Since, toldQuery } from "./query-names.ts"
import { lastPart } from "./server-schemas.ts"

type Query = WireRequest["query"]

const fields: readonly (readonly [key: string, name: string, field: Field])[] = Object.entries(
  serverNoun.fields,
).map(([key, field]) => [key, publicName(key, field), field] as const)

/** Second names; where both are given the first counts. */
const aliases: Readonly<Record<string, string>> = {
  image: "image_ref",
  name: "display_name",
  description: "display_description",
}
/** Where orders have other names than filters. */
const sortNames: Readonly<Record<string, string>> = { ...aliases, flavor: "instance_type_id" }
const sortKeys: Readonly<Record<string, string>> = {
  node: "host",
  ...Object.fromEntries(
    fields.flatMap(([key, name, field]) => (field.abilities.sort ? [[sortNames[name] ?? name, key]] : [])),
  ),
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
const openFilters: Since = [
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
  ...fields.flatMap(([, name, field]) => (field.abilities.filter ? [name] : [])),
  ...openFilters.flatMap(([, names]) => names),
  ...joinedTables,
  ...pagingParameters,
  ...Object.values(aliases),
  "tenant_id",
])

/** For documents. Filters beyond the open ones are for administrators. */
export const toldServerQuery = toldQuery(
  [["2.1", [...knownFilters].filter((name) => !joinedTables.has(name))], ...openFilters],
  {
    ...filterSchemas(serverNoun.fields),
    // Read as more than their fields are.
    ...Object.fromEntries(["image", "flavor", "power_state"].map((name) => [name, { type: "string" }])),
    status: many({ type: "string" }),
    sort_key: many({ type: "string", enum: [...Object.keys(sortKeys), "locked"] }),
    sort_dir: many({ type: "string", enum: ["asc", "desc"] }),
  },
)

/** null: a status that there is not; the list is empty. */
export function readServerQuery(ctx: Ctx, query: Query, version: Microversion): ServersAsked | null {
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
  const filters = readFilters(text, version)
  if (!addStates(ctx, filters, query, version)) return null
  const [ip, ip6] = [text("ip"), text("ip6")]
  return {
    projectId: isAllTenants ? (text("project_id") ?? text("tenant_id") ?? null) : ctx.caller.projectId,
    filters,
    addresses: { ...(ip !== undefined && { ip }), ...(ip6 !== undefined && { ip6 }) },
    page: readServerPage(ctx, query, version),
  }
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

/** Returns false when nothing can match. */
function addStates(
  ctx: Ctx,
  filters: Record<string, Filters[string]>,
  query: Query,
  version: Microversion,
): boolean {
  const words = queryAll(query, "status")
  if (words.length === 0) return true
  const states = statesOf(words)
  if (!states) {
    if (atLeast(version, "2.38")) throw badRequest("Invalid status value")
    return false
  }
  filters.vmState = states.vmStates
  if (states.taskStates) filters.taskState = states.taskStates
  if (states.vmStates.length === 1 && states.vmStates[0] === "deleted") {
    if (!isAdmin(ctx)) throw deletedListForbidden()
    filters.deleted = ["true"]
  }
  return true
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

/** Filters that say more than their field's kind does. */
const readers: Readonly<Record<string, (value: string) => readonly string[]>> = {
  image: (value) => [lastPart(value)],
  flavor: (value) => [lastPart(value)],
  power_state: (value) => [String(powerWords[value.toLowerCase()] ?? integer("power_state", value))],
  locked: (value) => [String(looseBoolean(value))],
  deleted: (value) => [String(looseBoolean(value))],
  tags: (value) => value.split(","),
  "tags-any": (value) => value.split(","),
  "not-tags": (value) => value.split(","),
  "not-tags-any": (value) => value.split(","),
}

function readFilters(text: Text, version: Microversion): Record<string, Filters[string]> {
  const filters: Record<string, readonly string[]> = {}
  for (const [key, name, field] of fields) {
    // Whose servers they are says the list itself, and which deleted ones is said below.
    if (!field.abilities.filter || key === "projectId" || key === "softDeleted") continue
    const used = [name, aliases[name] ?? name].find((each) => text(each) !== undefined)
    const values = used === undefined ? null : readFilter(field, used, text(used) ?? "", readers[name])
    if (values !== null) filters[key] = values
  }
  const [since, before] = [text("changes-since"), text("changes-before")]
  // Who asks for changes is told of deleted servers, too.
  if (since === undefined && before === undefined) filters.deleted ??= ["false"]
  addSoftDeleted(filters, text("soft_deleted"))
  const changes = readChanges(since, atLeast(version, "2.66") ? before : undefined)
  return changes.length > 0 ? { ...filters, updatedAt: changes } : filters
}

/** Those that are deleted for a while are with the deleted ones, unless it is said otherwise. */
function addSoftDeleted(filters: Record<string, readonly string[]>, said: string | undefined): void {
  const isDeleted = filters.deleted?.[0]
  if (isDeleted === "false" && !looseBoolean(said)) filters.softDeleted = ["false"]
  if (isDeleted !== "true" || (said !== undefined && !looseBoolean(said))) return
  filters.deleted = ["gone"]
}

export function readPeriod(since: string | undefined, before: string | undefined) {
  const from = since === undefined ? undefined : readTime("changes-since", since)
  const until = before === undefined ? undefined : readTime("changes-before", before)
  if (from && until && until < from)
    throw badRequest("The value of changes-since must be less than or equal to changes-before.")
  return { from, until }
}

export function readChanges(since: string | undefined, before: string | undefined): Compared[] {
  const { from, until } = readPeriod(since, before)
  return [
    ...(from ? [{ by: "atLeast", value: from } as const] : []),
    ...(until ? [{ by: "atMost", value: until } as const] : []),
  ]
}

/** Null: no condition. */
function readFilter(
  field: Field,
  name: string,
  value: string,
  read: ((value: string) => readonly string[]) | undefined,
): readonly string[] | null {
  if (read) return read(value)
  if (field.isPattern) return readPattern(name, value)
  if (field.kind === "boolean") return [String(looseBoolean(value))]
  if (field.kind === "integer") return [String(integer(name, value))]
  return [value]
}

function readPattern(name: string, value: string): readonly string[] | null {
  try {
    new RegExp(value)
  } catch {
    throw badRequest(
      `Invalid input for query parameters ${name}. Value: ${value}. It is not a regular expression.`,
    )
  }
  return value === "" ? null : [value]
}

function integer(name: string, value: string): number {
  if (!/^\d+$/.test(value))
    throw badRequest(`Invalid input for filter ${name}: ${JSON.stringify(value)} is no number.`)
  return Number(value)
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

function readServerPage(ctx: Ctx, query: Query, version: Microversion): Page {
  const keys = queryAll(query, "sort_key")
  const directions = queryAll(query, "sort_dir")
  for (const direction of directions)
    if (direction !== "asc" && direction !== "desc")
      throw badRequest(
        `Invalid input for query parameters sort_dir. Value: ${direction}. '${direction}' is not one of ['asc', 'desc']`,
      )
  if (directions.length > Math.max(keys.length, 1))
    throw badRequest("Sort direction size exceeds sort key size")
  const allowed = atLeast(version, "2.73") ? { ...sortKeys, locked: "lockedBy" } : sortKeys
  const used = keys
    .map((key, i) => [key, directions[i]] as const)
    .filter(([key]) => key in allowed || !ignoredSortKeys.has(key) || atLeast(version, "2.75"))
  for (const [key] of used) if ((key === "host" || key === "node") && !isAdmin(ctx)) throw sortForbidden(key)
  const rest: Record<string, string | string[] | undefined> = { ...query, sort: undefined }
  rest.sort_key = used.map(([key]) => key)
  // Of the keys that are left; without any a direction is that of the order that there is anyway.
  if (keys.length > 0) rest.sort_dir = used.flatMap(([, direction]) => direction ?? [])
  return readPage(rest, {
    sortKeys: allowed,
    defaultSorts: [{ key: "createdAt", direction: "desc" }],
    defaultDirection: "desc",
    limitMax: ctx.config.compute.listLimitMost,
  })
}
