// Lists of servers: every filter and order is SQL's, paged by keyset.
import { type RawBuilder, sql } from "kysely"
import { type ServerNetworking, serverAddresses, serversWithAddress } from "../../network/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { pageClauses, type SortColumns } from "../../platform/db/page.ts"
import { matchesPattern, withPatterns } from "../../platform/db/text-pattern.ts"
import type { Page } from "../../platform/http/paging.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { changedBetween } from "../changes.ts"
import { badRequest } from "../faults.ts"
import type { Server, TaskState, VmState } from "./server.ts"
import { type ServerRow, serverOf } from "./store.ts"

/** Text columns that are compared as regular expressions, as Nova does. */
export const regexColumns = {
  name: sql.ref("name"),
  hostname: sql.ref("hostname"),
  description: sql.ref("description"),
  key_name: sql.ref("key_name"),
  kernel_id: sql.ref("kernel_id"),
  ramdisk_id: sql.ref("ramdisk_id"),
  node: sql.ref("host"),
  reservation_id: sql.ref("reservation_id"),
  availability_zone: sql`coalesce(availability_zone, '')`,
  locked_by: sql.ref("locked_by"),
  root_device_name: sql.ref("root_device_name"),
  access_ip_v4: sql.ref("access_ip_v4"),
  access_ip_v6: sql.ref("access_ip_v6"),
  launched_at: sql`to_char(launched_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')`,
  terminated_at: sql`to_char(terminated_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')`,
  created_at: sql`to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')`,
} as const satisfies Record<string, RawBuilder<unknown>>

export type RegexColumn = keyof typeof regexColumns

export interface ServerFilter {
  /** null: of every project. */
  projectId: string | null
  userId?: string
  /** true: only deleted ones; null: both. */
  isDeleted: boolean | null
  ids?: readonly string[]
  imageId?: string
  flavorId?: string
  host?: string
  vmStates?: readonly VmState[]
  taskStates?: readonly TaskState[]
  powerState?: number
  progress?: number
  launchIndex?: number
  hasConfigDrive?: boolean
  hasAutoDiskConfig?: boolean
  isLocked?: boolean
  changesSince?: Date
  changesBefore?: Date
  regex?: Partial<Record<RegexColumn, string>>
  /** Regular expressions over the addresses. */
  ip?: string
  ip6?: string
  allTags?: readonly string[]
  anyTags?: readonly string[]
  notAllTags?: readonly string[]
  notAnyTags?: readonly string[]
}

export interface ServerListOptions {
  filter: ServerFilter
  page: Page
  /** The fields of the servers that are set. */
  reads: keyof typeof columnsOf
  /** User data may be long; only those who show it ask for it. */
  withUserData?: boolean
  withNetworking?: boolean
}

export interface ServerList {
  servers: Server[]
  networking: ReadonlyMap<string, ServerNetworking>
  /** Whether the page is full, so that there may be more. */
  isFull: boolean
}

export const serverSortColumns: SortColumns = {
  id: { column: sql.ref("id") },
  createdAt: { column: sql.ref("created_at") },
  updatedAt: { column: sql.ref("updated_at") },
  name: { column: sql.ref("name") },
  hostname: { column: sql.ref("hostname") },
  description: { column: sql.ref("description"), isNullable: true },
  host: { column: sql.ref("host"), isNullable: true },
  imageId: { column: sql.ref("image_id"), isNullable: true },
  flavorId: { column: sql.ref("flavor_id") },
  keyName: { column: sql.ref("key_name"), isNullable: true },
  availabilityZone: { column: sql.ref("availability_zone"), isNullable: true },
  launchIndex: { column: sql.ref("launch_index") },
  launchedAt: { column: sql.ref("launched_at"), isNullable: true },
  terminatedAt: { column: sql.ref("terminated_at"), isNullable: true },
  powerState: { column: sql.ref("power_state") },
  progress: { column: sql.ref("progress") },
  projectId: { column: sql.ref("project_id") },
  userId: { column: sql.ref("user_id") },
  taskState: { column: sql.ref("task_state"), isNullable: true },
  vmState: { column: sql.ref("vm_state") },
  lockedBy: { column: sql.ref("locked_by"), isNullable: true },
  kernelId: { column: sql.ref("kernel_id"), isNullable: true },
  ramdiskId: { column: sql.ref("ramdisk_id"), isNullable: true },
  rootDeviceName: { column: sql.ref("root_device_name"), isNullable: true },
  hasConfigDrive: { column: sql.ref("has_config_drive") },
  hasAutoDiskConfig: { column: sql.ref("has_auto_disk_config") },
  accessIpV4: { column: sql.ref("access_ip_v4"), isNullable: true },
  accessIpV6: { column: sql.ref("access_ip_v6"), isNullable: true },
}

/** What is read of each server: a page may have a thousand, and columns that nobody shows cost as much as others. */
const columnsOf = {
  names: sql`id, name`,
  // What Nova has shown from its first version on.
  core: sql`id, number, project_id, user_id, name, vm_state, task_state, power_state, progress, fault, host,
    availability_zone, pinned_availability_zone, image_id, flavor, metadata, key_name, has_config_drive,
    has_auto_disk_config, access_ip_v4, access_ip_v6, locked_by, created_at, updated_at, launched_at, terminated_at,
    deleted_at`,
  all: sql`id, number, project_id, user_id, generation, name, description, hostname, vm_state, task_state,
    power_state, progress, fault, host, availability_zone, pinned_availability_zone, image_id, flavor, flavor_id,
    metadata, tags, key_name, has_config_drive, has_auto_disk_config, root_device_name, kernel_id, ramdisk_id,
    access_ip_v4, access_ip_v6, server_group_id, trusted_image_certificates, block_devices, reservation_id,
    launch_index, locked_by, locked_reason, created_at, updated_at, launched_at, terminated_at, deleted_at`,
}

/** Without policy: the wire's list operations decide what the caller may ask for. */
export async function selectServers(ctx: Ctx, options: ServerListOptions): Promise<ServerList> {
  const { filter, page } = options
  const limitMost = ctx.config.compute.listLimitMost
  const limit = Math.min(page.limit ?? limitMost, limitMost)
  const none: ServerList = { servers: [], networking: new Map(), isFull: false }
  if (limit === 0) return none
  const conditions = conditionsOf(filter)
  if (!conditions) return none
  const marker = await markerRow(ctx, page.marker, filter.projectId)
  const paged = pageClauses(page, serverSortColumns, "id", marker)
  const userData = options.withUserData ? sql`, user_data` : sql``
  const columns = columnsOf[options.reads]
  const found = await withPatterns(ctx.db, patternsOf(filter), async (db) => {
    const all = [...conditions, ...(await addressConditions(db, filter)), paged.where]
    return await sql<ServerRow>`select ${columns}${userData} from compute.server
      where ${sql.join(all, sql` and `)} order by ${paged.orderBy} limit ${limit}`.execute(db)
  })
  const servers = found.rows.map(serverOf)
  const networking =
    options.withNetworking && servers.length > 0
      ? await serverAddresses(
          ctx.db,
          servers.map((s) => s.id),
        )
      : none.networking
  return { servers, networking, isFull: servers.length === limit }
}

/** What the caller wrote as regular expressions, by filter; an empty one matches all. */
function patternsOf({ regex, ip, ip6 }: ServerFilter): Record<string, string> {
  const given = Object.entries({ ...regex, ip, ip6 })
  return Object.fromEntries(given.filter((entry): entry is [string, string] => Boolean(entry[1])))
}

/** null: nothing can match. */
function conditionsOf(f: ServerFilter): RawBuilder<unknown>[] | null {
  const all: RawBuilder<unknown>[] = []
  const equals = (column: string, value: unknown) => {
    if (value !== undefined) all.push(sql`${sql.ref(column)} = ${value}`)
  }
  if (f.isDeleted !== null) all.push(f.isDeleted ? sql`deleted_at is not null` : sql`deleted_at is null`)
  if (f.projectId !== null) equals("project_id", f.projectId)
  equals("user_id", f.userId)
  if (f.ids) all.push(sql`id = any(${f.ids.filter(isUuid)}::uuid[])`)
  if (f.imageId !== undefined && !isUuid(f.imageId)) return null
  equals("image_id", f.imageId)
  equals("flavor_id", f.flavorId)
  equals("host", f.host)
  equals("power_state", f.powerState)
  equals("progress", f.progress)
  equals("launch_index", f.launchIndex)
  equals("has_config_drive", f.hasConfigDrive)
  equals("has_auto_disk_config", f.hasAutoDiskConfig)
  if (f.vmStates) all.push(sql`vm_state = any(${[...f.vmStates]}::text[])`)
  if (f.taskStates) all.push(sql`task_state = any(${[...f.taskStates]}::text[])`)
  if (f.isLocked !== undefined) all.push(f.isLocked ? sql`locked_by is not null` : sql`locked_by is null`)
  all.push(...changedBetween(sql`updated_at`, f))
  for (const [name, pattern] of Object.entries(f.regex ?? {}))
    if (pattern !== "") all.push(matchesPattern(regexColumns[name as RegexColumn], pattern))
  if (f.allTags) all.push(sql`tags @> ${[...f.allTags]}::text[]`)
  if (f.anyTags) all.push(sql`tags && ${[...f.anyTags]}::text[]`)
  if (f.notAllTags) all.push(sql`not tags @> ${[...f.notAllTags]}::text[]`)
  if (f.notAnyTags) all.push(sql`not tags && ${[...f.notAnyTags]}::text[]`)
  if (all.length === 0) all.push(sql`true`)
  return all
}

async function markerRow(
  ctx: Ctx,
  marker: string | null,
  projectId: string | null,
): Promise<Record<string, unknown> | null> {
  if (marker === null) return null
  const found = isUuid(marker)
    ? await ctx.db.selectFrom("compute.server").selectAll().where("id", "=", marker).executeTakeFirst()
    : undefined
  // Another project's is not in the list.
  if (!found || (projectId !== null && found.project_id !== projectId))
    throw badRequest(`marker [${marker}] not found`)
  // The keys of a Server are the sort keys.
  return { ...serverOf(found) }
}

/** Addresses are the network's: it says which servers have one like that. */
async function addressConditions(db: DbOrTx, filter: ServerFilter): Promise<RawBuilder<unknown>[]> {
  const asked = [
    [4, filter.ip],
    [6, filter.ip6],
  ] as const
  const conditions: RawBuilder<unknown>[] = []
  for (const [version, pattern] of asked) {
    if (pattern === undefined) continue
    const ids = await serversWithAddress(db, { projectId: filter.projectId, pattern, version })
    conditions.push(sql`id = any(${ids}::uuid[])`)
  }
  return conditions
}
