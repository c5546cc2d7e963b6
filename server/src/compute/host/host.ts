// A host that runs machines: Nova's compute service and its hypervisor in one.
import { sql } from "kysely"
import { Type } from "typebox"
import type { HostDescription } from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"
import {
  boolean,
  field,
  filterOnly,
  integer,
  nullable,
  structure,
  text,
  time,
  uuid,
} from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { zoneOfHost } from "../aggregate/store.ts"
import { badRequest, hostNotFound } from "../faults.ts"
import type {} from "../tables.ts"
import type { Viewer } from "../viewer.ts"

const found = { filter: true } as const

/** Of one clock, whoever reads the row. */
export const hostSilentMs = sql<number>`extract(epoch from clock_timestamp() - last_seen_at)::float8 * 1000`

export const hostNoun = noun({
  name: "compute.host",
  table: sql`compute.host`,
  alias: "h",
  order: [{ key: "number", direction: "asc" }],
  fields: {
    name: text(sql`h.name`, found),
    /** Of the hypervisor and of its resource provider. */
    id: uuid(sql`h.id`, found),
    serviceId: uuid(sql`h.service_id`, found),
    number: integer(sql`h.number`, found),
    description: structure(Type.Unsafe<HostDescription>({}), sql`h.description`),
    lastSeenAt: time(sql`h.last_seen_at`),
    /** How long ago that was when the row was read. Both by the database's clock: hosts' clocks differ. */
    silentMs: field("other", Type.Number(), hostSilentMs),
    isDisabled: boolean(sql`h.is_disabled`, { update: true }),
    disabledReason: nullable(text(sql`h.disabled_reason`, { update: true })),
    isForcedDown: boolean(sql`h.is_forced_down`, { update: true }),
    /** Of an aggregate that the host is in. */
    ownZone: nullable(text(zoneOfHost(sql`h.name`))),
    createdAt: time(sql`h.created_at`),
    updatedAt: time(sql`h.updated_at`),
    namePart: filterOnly(([part = ""]) => sql<boolean>`position(${part} in h.name) > 0`),
  },
  visible: (_viewer: Viewer) => visibleToAll,
  notFound: hostNotFound,
  markerNotFound: (id) => badRequest(`marker [${id}] not found`),
})

export type Host = Thing<typeof hostNoun>

/** Whether the host may be expected to answer. */
export function isHostUp(host: Pick<Host, "silentMs" | "isForcedDown">, downAfterMs: number): boolean {
  return !host.isForcedDown && host.silentMs <= downAfterMs
}

/** The availability zone of the host: that of an aggregate, or the default one. */
export function zoneOf({ config }: Pick<Platform, "config">, { ownZone }: Pick<Host, "ownZone">): string {
  return ownZone ?? config.compute.defaultAvailabilityZone
}

/** Nova's `host_status` of a server. */
export function hostStatusOf(host: Host | undefined, downAfterMs: number): string {
  if (!host) return ""
  if (host.isForcedDown) return "DOWN"
  if (!isHostUp(host, downAfterMs)) return "UNKNOWN"
  return host.isDisabled ? "MAINTENANCE" : "UP"
}
