import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { boundedLimit, pageUrl } from "../../platform/http/paging.ts"
import { queryInteger, queryText } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { badRequest, listMigrations, type Migration } from "../index.ts"
import { checkQueryNames } from "./query-names.ts"
import { readTime } from "./server-query.ts"

const micros = (date: Date | null) => date && `${date.toISOString().slice(0, 23)}000`

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
    created_at: micros(m.createdAt),
    updated_at: micros(m.updatedAt),
    // Links are for live migrations that are under way.
    ...(atLeast(version, "2.23") && { migration_type: m.type }),
    ...(atLeast(version, "2.59") && { uuid: m.id }),
    ...(atLeast(version, "2.80") && { user_id: m.userId, project_id: m.projectId }),
  }
}

const filters: readonly [from: string, names: readonly string[]][] = [
  ["2.1", ["hidden", "host", "instance_uuid", "source_compute", "status", "migration_type"]],
  ["2.59", ["limit", "marker", "changes-since"]],
  ["2.66", ["changes-before"]],
  ["2.80", ["user_id", "project_id"]],
]

async function list(ctx: Ctx, req: WireRequest) {
  const known = filters.filter(([from]) => atLeast(req.version, from)).flatMap(([, names]) => names)
  checkQueryNames(req, known)
  const text = (name: string) => (known.includes(name) ? queryText(req.query, name) : undefined)
  const [since, before] = [text("changes-since"), text("changes-before")]
  const changesSince = since === undefined ? undefined : readTime("changes-since", since)
  const changesBefore = before === undefined ? undefined : readTime("changes-before", before)
  if (changesSince && changesBefore && changesBefore < changesSince)
    throw badRequest("The value of changes-since must be less than or equal to changes-before.")
  const isPaged = known.includes("limit")
  const asked = isPaged ? queryInteger(req.query, "limit", { min: 0 }) : undefined
  const limit = boundedLimit(asked, ctx.config.compute.listLimitMost)
  const found = await listMigrations(ctx, {
    host: text("host"),
    serverId: text("instance_uuid"),
    sourceHost: text("source_compute"),
    status: text("status"),
    type: text("migration_type"),
    userId: text("user_id"),
    projectId: text("project_id"),
    changesSince,
    changesBefore,
    limit,
    marker: text("marker"),
  })
  const last = found.at(-1)
  const href =
    last && isPaged && found.length === limit ? pageUrl(ctx.baseUrl, req.url, { marker: last.id }) : undefined
  return {
    migrations: found.map((migration) => viewMigration(req.version, migration)),
    ...(href !== undefined && { migrations_links: [{ rel: "next", href }] }),
  }
}

export const migrationRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-migrations",
    operation: listMigrations,
    handler: list,
  }),
]
