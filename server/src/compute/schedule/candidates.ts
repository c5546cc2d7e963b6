// Reads what the scheduler chooses among: a page of the hosts that have room now, or all hosts when a refusal is to be
// explained. One statement each, as it is in the path of every creation; what is used, placement has added up already.
import { type RawBuilder, sql } from "kysely"
import { physicalNetworksOfHost } from "../../network/index.ts"
import {
  allHostRooms,
  otherRooms,
  type RoomPage,
  roomsOf,
  roomyHosts,
  traitsOfRoom,
} from "../../placement/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { zoneOfHost } from "../aggregate/store.ts"
import { hostSilentMs, isHostUp, zoneOf } from "../host/host.ts"
import type { Narrowing } from "./filter/filter.ts"
import type { HostAggregate, HostPart, HostState } from "./host-state.ts"

export interface CandidatePage extends RoomPage {
  limit: number
  narrowing: Narrowing
  needs: ReadonlySet<HostPart>
}

export interface Candidates {
  hosts: HostState[]
  /** Where the next page begins; null: there is none. */
  after: { grade: number; id: string } | null
}

export async function selectCandidates(
  platform: Platform,
  db: DbOrTx,
  page: CandidatePage,
): Promise<Candidates> {
  const { from, orderBy } = roomyHosts(page)
  const conditions = conditionsOf(platform, page.narrowing)
  const where = conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`
  // The limit is part of the text: PostgreSQL plans for few rows then.
  const { rows } = await sql<HostRow & { grade: number }>`
    select r.*, ${hostColumns(page.needs)} from (${from}) r join compute.host h on h.id = r.id
    ${where} order by ${orderBy} limit ${sql.lit(page.limit)}`.execute(db)
  const last = rows.length < page.limit ? undefined : rows.at(-1)
  return {
    hosts: rows.map((row) => stateOf(platform, row)),
    after: last ? { grade: last.grade, id: last.id } : null,
  }
}

/** Every host, or the one of this name, whether it has room or not. */
export async function selectAllHosts(
  platform: Platform,
  db: DbOrTx,
  needs: ReadonlySet<HostPart>,
  only: string | null = null,
): Promise<HostState[]> {
  const where = only === null ? sql`` : sql`where h.name = ${only}`
  const { rows } = await sql<HostRow>`
    select r.*, ${hostColumns(needs)} from compute.host h left join (${allHostRooms()}) r on r.id = h.id
    ${where} order by h.number`.execute(db)
  return rows.map((row) => stateOf(platform, row))
}

function conditionsOf(platform: Platform, narrowing: Narrowing): RawBuilder<unknown>[] {
  const { hosts, notHosts, zone, isServing, physicalNetworks } = narrowing
  const { serviceDownAfterMs, defaultAvailabilityZone } = platform.config.compute
  return [
    ...(hosts ? [sql`h.name = any(${[...hosts]}::text[])`] : []),
    ...(notHosts?.length ? [sql`h.name <> all(${[...notHosts]}::text[])`] : []),
    ...(isServing
      ? // In this form PostgreSQL believes that nearly all hosts are so (as in placement's part).
        [
          sql`(not h.is_disabled and not h.is_forced_down
            and ${hostSilentMs} <= ${serviceDownAfterMs})::integer <> 0`,
        ]
      : []),
    ...(zone === undefined
      ? []
      : [sql`coalesce(${zoneOfHost(sql`h.name`)}, ${defaultAvailabilityZone}) = ${zone}`]),
    ...(physicalNetworks
      ? [sql`coalesce(${physicalNetworksOfHost(sql`h.name`)} @> ${[...physicalNetworks]}::text[], true)`]
      : []),
  ]
}

const parts: Readonly<Record<HostPart, RawBuilder<unknown>>> = {
  description: sql`h.description`,
  instances: sql`(select count(*) from compute.server s
    where s.host = h.name and s.deleted_at is null) as instances`,
  ioOps: sql`(select count(*) from compute.server s
    where s.host = h.name and s.deleted_at is null and s.task_state is not null) as "ioOps"`,
  physicalNetworks: sql`${physicalNetworksOfHost(sql`h.name`)} as "physicalNetworks"`,
  otherRooms: sql`${otherRooms} as "otherRooms"`,
  traits: sql`${traitsOfRoom} as traits`,
}

function hostColumns(needs: ReadonlySet<HostPart>): RawBuilder<unknown> {
  return sql.join([
    sql`h.name, h.id as "providerId", ${hostSilentMs} as "silentMs", h.is_disabled as "isDisabled",
      h.is_forced_down as "isForcedDown", h.failed_builds as "failedBuilds",
      (select jsonb_agg(jsonb_build_object('id', a.id, 'name', a.name, 'metadata', a.metadata) order by a.id)
        from compute.aggregate_host x join compute.aggregate a on a.id = x.aggregate_id
        where x.host = h.name) as aggregates`,
    ...Object.entries(parts).flatMap(([part, column]) => (needs.has(part as HostPart) ? [column] : [])),
  ])
}

interface HostRow extends Pick<HostState, "name" | "providerId" | "isDisabled" | "failedBuilds"> {
  /** With the columns of placement's part. */
  [column: string]: unknown
  id: string
  silentMs: number
  isForcedDown: boolean
  aggregates: HostAggregate[] | null
  description?: HostState["description"]
  instances?: number
  ioOps?: number
  physicalNetworks?: string[] | null
  otherRooms?: HostState["rooms"] | null
  traits?: string[] | null
}

function stateOf(platform: Platform, row: HostRow): HostState {
  const aggregates = row.aggregates ?? []
  const zoned = aggregates.find(({ metadata }) => metadata.availability_zone !== undefined)
  return {
    name: row.name,
    providerId: row.providerId,
    isUp: isHostUp(row, platform.config.compute.serviceDownAfterMs),
    isDisabled: row.isDisabled,
    zone: zoneOf(platform, { ownZone: zoned?.metadata.availability_zone ?? null }),
    rooms: { ...roomsOf(row), ...row.otherRooms },
    traits: row.traits ?? [],
    aggregates,
    failedBuilds: row.failedBuilds,
    description: row.description ?? null,
    instances: row.instances ?? 0,
    ioOps: row.ioOps ?? 0,
    physicalNetworks: row.physicalNetworks ?? null,
  }
}
