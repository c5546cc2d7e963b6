// Reads servers: one that the caller may know of, with its addresses, and pages of them.
import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import { type ServerNetworking, serverAddresses, serversWithAddress } from "../../network/index.ts"
import { allOrFirst } from "../../platform/clock/in-parallel.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { type NamedPattern, withPatterns } from "../../platform/db/text-pattern.ts"
import type { Page } from "../../platform/http/paging.ts"
import { type Filters, listThings, loadThing, patternsIn } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest, serverNotFound } from "../faults.ts"
import { viewerOf } from "../viewer.ts"
import { type AttachedDevice, devicesOfServers } from "./block-device.ts"
import { type Server, serverNoun } from "./server.ts"

/** The server if the caller may know of it: its own project's, or any for an administrator. */
export async function visibleServer(
  ctx: Ctx,
  serverId: string,
  { withDeleted = false } = {},
): Promise<Server> {
  return await loadThing(ctx.db, serverNoun, { ...viewerOf(ctx), withDeleted }, serverId)
}

export function targetOf(server: Pick<Server, "projectId" | "userId">) {
  return { project_id: server.projectId, user_id: server.userId }
}

export interface ShownServer {
  server: Server
  networking: ServerNetworking
  volumes: readonly AttachedDevice[]
}

export const noNetworking: ServerNetworking = { addresses: [], securityGroups: [] }

/** One server with its addresses and volumes. Each way to read it has its own rule. */
function reading(verb: string, rule: string) {
  return operation({
    name: `compute.server.${verb}`,
    input: Type.Object({ serverId: Type.String() }),
    faults: [serverNotFound],
    load: (ctx, input) => visibleServer(ctx, input.serverId),
    rule: `os_compute_api:${rule}`,
    target: (_ctx, _input, server) => targetOf(server),
    run: async (ctx, _input, server): Promise<ShownServer> => {
      const [networking, volumes] = await allOrFirst(
        serverAddresses(ctx.db, [server.id]),
        devicesOfServers(ctx.db, [server]),
      )
      return {
        server,
        networking: networking.get(server.id) ?? noNetworking,
        volumes: volumes.get(server.id) ?? [],
      }
    },
  })
}

export const showServer = reading("show", "servers:show")
/** For the answer to a change, by its rule. */
export const showUpdatedServer = reading("show_updated", "servers:update")
export const showRebuiltServer = reading("show_rebuilt", "servers:rebuild")
export const listServerMetadata = reading("list_metadata", "server-metadata:index")
export const showServerMetadataItem = reading("show_metadata_item", "server-metadata:show")
export const listServerTags = reading("list_tags", "os-server-tags:index")
export const checkServerTag = reading("check_tag", "os-server-tags:show")
export const listServerAddresses = reading("list_addresses", "ips:index")
export const listServerAddressesOfNetwork = reading("list_addresses_of_network", "ips:show")

export interface ServersAsked {
  /** null: of every project. */
  projectId: string | null
  filters: Filters
  /** Regular expressions over the addresses, by the filter's name; one of each server's must match. */
  addresses: Partial<Record<"ip" | "ip6", string>>
  page: Page
}

export interface ServerDetailsAsked extends ServersAsked {
  /** Also what Nova has shown since its third version. */
  isModern: boolean
  /** User data may be long; only those who show it ask for it. */
  withUserData: boolean
}

/** What is read of each server: a page may have a thousand, and columns that nobody shows cost as much as others. */
const nameFields = ["id", "name"] as const
const coreFields = [
  ...nameFields,
  ...(["number", "projectId", "userId", "vmState", "taskState", "powerState", "progress", "fault"] as const),
  ...(["host", "availabilityZone", "pinnedAvailabilityZone", "imageId", "flavor", "metadata"] as const),
  ...(["keyName", "hasConfigDrive", "hasAutoDiskConfig", "accessIpV4", "accessIpV6", "lockedBy"] as const),
  "hasVolumes",
  ...(["createdAt", "updatedAt", "launchedAt", "terminatedAt", "deletedAt"] as const),
] as const
const modernFields = [
  ...coreFields,
  ...(["description", "hostname", "tags", "rootDeviceName", "kernelId", "ramdiskId"] as const),
  ...(["trustedImageCertificates", "reservationId", "launchIndex", "lockedReason"] as const),
] as const

/** A server as lists have it, which read what is shown. */
export type ListedServer = Pick<Server, (typeof coreFields)[number]> & Partial<Server>

export interface ServerPage<S> {
  servers: S[]
  /** Whether the page is full, so that there may be more. */
  isFull: boolean
}

/** The servers of the caller's project, or of any for those who may. */
function listing<I extends ServersAsked, O>(
  verb: string,
  view: "index" | "detail",
  run: (ctx: Ctx, input: I) => Promise<O>,
) {
  return operation({
    name: `compute.server.${verb}`,
    // The filters are made by the wire from checked parameters; a second check would cost more than the list.
    input: Type.Unsafe<I>(Type.Object({})),
    faults: [badRequest],
    rules: [`os_compute_api:servers:${view}`],
    authorize: (ctx, input) => {
      const target = { project_id: ctx.caller.projectId, user_id: ctx.caller.userId }
      return input.projectId === ctx.caller.projectId && ctx.caller.projectId !== null
        ? [[`os_compute_api:servers:${view}`, target]]
        : [
            [`os_compute_api:servers:${view}`, target],
            [`os_compute_api:servers:${view}:get_all_tenants`, target],
          ]
    },
    run,
  })
}

export const listServers = listing("list", "index", (ctx, input: ServersAsked) =>
  readPage(ctx, input, nameFields),
)

export const listServerDetails = listing("list_details", "detail", async (ctx, input: ServerDetailsAsked) => {
  const fields = input.isModern ? modernFields : coreFields
  const page: ServerPage<ListedServer> = await readPage(
    ctx,
    input,
    input.withUserData ? [...fields, "userData" as const] : fields,
  )
  const ids = page.servers.map((server) => server.id)
  const networking = ids.length > 0 ? await serverAddresses(ctx.db, ids) : new Map<string, ServerNetworking>()
  return { ...page, networking, volumes: await devicesOfServers(ctx.db, page.servers) }
})

async function readPage<K extends keyof Server>(
  ctx: Ctx,
  { projectId, filters, addresses, page }: ServersAsked,
  only: readonly K[],
): Promise<ServerPage<Pick<Server, K>>> {
  const limitMost = ctx.config.compute.listLimitMost
  const limit = Math.min(page.limit ?? limitMost, limitMost)
  if (limit === 0) return { servers: [], isFull: false }
  const ofAddresses = Object.entries(addresses).filter(([, pattern]) => pattern !== "")
  const patterns: NamedPattern[] = [...patternsIn(serverNoun, filters), ...ofAddresses]
  // The filter says whether deleted ones are listed; a page may begin after one that is deleted by now.
  const viewer = { projectId, seesAll: projectId === null, withDeleted: true }
  const servers = await withPatterns(ctx.db, patterns, async (db) => {
    const also = await addressConditions(db, projectId, addresses)
    return await listThings(db, serverNoun, viewer, { filters, page: { ...page, limit }, also, only })
  })
  return { servers, isFull: servers.length === limit }
}

/** Addresses are the network's: it says which servers have one like that. */
async function addressConditions(
  db: DbOrTx,
  projectId: string | null,
  { ip, ip6 }: ServersAsked["addresses"],
): Promise<RawBuilder<boolean>[]> {
  const conditions: RawBuilder<boolean>[] = []
  for (const [version, pattern] of [[4, ip] as const, [6, ip6] as const]) {
    if (pattern === undefined) continue
    const ids = await serversWithAddress(db, { projectId, pattern, version })
    conditions.push(sql<boolean>`${serverNoun.fields.id.sql} = any(${ids}::uuid[])`)
  }
  return conditions
}
