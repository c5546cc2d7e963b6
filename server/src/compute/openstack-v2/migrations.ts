import { count, each, from, nothing, page, shape, text, textOrNull } from "../../api/openstack/shape.ts"
import { microsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { boundedLimit } from "../../platform/http/paging.ts"
import { queryInteger, queryText } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import type { Compared } from "../../platform/noun/list.ts"
import { keysOf } from "../../platform/noun/noun.ts"
import { badRequest, listMigrations, type Migration, migrationNoun } from "../index.ts"
import { nextLink } from "./next-link.ts"
import { checkQueryNames, type Since, toldQuery } from "./query-names.ts"
import { readTime } from "./server-query.ts"

function viewMigration(version: Microversion, m: Migration) {
  return {
    id: m.number,
    instance_uuid: m.serverId,
    status: m.status,
    source_node: m.sourceHost,
    source_compute: m.sourceHost,
    dest_node: m.destHost,
    dest_compute: m.destHost,
    // An address is kept for moves between hosts only.
    dest_host: null,
    old_instance_type_id: m.oldFlavorNumber,
    new_instance_type_id: m.newFlavorNumber,
    created_at: microsText(m.createdAt),
    updated_at: m.updatedAt && microsText(m.updatedAt),
    // Links are for live migrations that are under way.
    ...(atLeast(version, "2.23") && { migration_type: m.type }),
    ...(atLeast(version, "2.59") && { uuid: m.id }),
    ...(atLeast(version, "2.80") && { user_id: m.userId, project_id: m.projectId }),
  }
}

const migration = shape("Migration", {
  ...each("id old_instance_type_id new_instance_type_id", count),
  ...each("instance_uuid status created_at", text),
  ...each("source_node source_compute dest_node dest_compute updated_at", textOrNull),
  dest_host: nothing,
  migration_type: from("2.23", text),
  uuid: from("2.59", text),
  ...each("user_id project_id", from("2.80", text)),
})

const parameters: Since = [
  ["2.1", ["hidden", "host", "instance_uuid", "source_compute", "status", "migration_type"]],
  ["2.59", ["limit", "marker", "changes-since"]],
  ["2.66", ["changes-before"]],
  ["2.80", ["user_id", "project_id"]],
]
const filterKeys = keysOf(migrationNoun.fields, "filter")

async function list(ctx: Ctx, req: WireRequest) {
  const known = parameters.filter(([from]) => atLeast(req.version, from)).flatMap(([, names]) => names)
  checkQueryNames(req, known)
  const text = (name: string) => (known.includes(name) ? queryText(req.query, name) : undefined)
  const filters: Record<string, string[]> = {}
  for (const name of known) {
    const [key, value] = [filterKeys[name], text(name)]
    if (key !== undefined && value !== undefined) filters[key] = [value]
  }
  const changedAt = changesOf(text("changes-since"), text("changes-before"))
  const isPaged = known.includes("limit")
  const asked = isPaged ? queryInteger(req.query, "limit", { min: 0 }) : undefined
  const limit = boundedLimit(asked, ctx.config.compute.listLimitMost)
  const { items, read } = await listMigrations(ctx, {
    filters: { ...filters, ...(changedAt.length > 0 && { changedAt }) },
    page: { limit, marker: text("marker") ?? null },
  })
  return {
    migrations: items.map((migration) => viewMigration(req.version, migration)),
    ...nextLink(ctx, req, "migrations", isPaged && read.count === limit ? read.lastId : undefined),
  }
}

function changesOf(since: string | undefined, before: string | undefined): Compared[] {
  const from = since === undefined ? undefined : readTime("changes-since", since)
  const to = before === undefined ? undefined : readTime("changes-before", before)
  if (from && to && to < from)
    throw badRequest("The value of changes-since must be less than or equal to changes-before.")
  return [
    ...(from ? [{ by: "atLeast" as const, value: from }] : []),
    ...(to ? [{ by: "atMost" as const, value: to }] : []),
  ]
}

export const migrationRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-migrations",
    operation: listMigrations,
    told: { ...toldQuery(parameters), ...page("migrations", migration) },
    handler: list,
  }),
]
