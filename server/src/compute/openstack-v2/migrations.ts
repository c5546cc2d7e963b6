import { links, nothing, page, rare } from "../../api/openstack/shape.ts"
import { named, since, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { queryText } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { keysOf } from "../../platform/noun/noun.ts"
import { listMigrations, type Migration, migrationNoun, openLiveStatuses } from "../index.ts"
import { nextLink, readMarked } from "./next-link.ts"
import { checkQueryNames, type Since, toldQuery } from "./query-names.ts"
import { readChanges } from "./server-query.ts"

const { fields } = migrationNoun

function linksTo({ type, status, serverId, number }: Migration, { baseUrl }: Ctx) {
  const isUnderWay = openLiveStatuses.some((each) => each === status)
  if (type !== "live-migration" || !isUnderWay) return undefined
  const path = `servers/${serverId}/migrations/${number}`
  return [
    { rel: "self", href: `${baseUrl}/compute/v2.1/${path}` },
    { rel: "bookmark", href: `${baseUrl}/compute/${path}` },
  ]
}

const migration = view<Migration>("Migration", {
  ...named(fields, {
    ...{ id: "number", instance_uuid: "serverId", status: "status" },
    ...{ source_node: "sourceHost", source_compute: "sourceHost" },
    ...{ dest_node: "destHost", dest_compute: "destHost" },
    ...{ old_instance_type_id: "oldFlavorNumber", new_instance_type_id: "newFlavorNumber" },
    ...{ created_at: "createdAt", updated_at: "updatedAt" },
  }),
  // An address is kept for moves between hosts only.
  dest_host: [nothing, () => null],
  ...since("2.23", named(fields, { migration_type: "type" })),
  // Of live migrations that are under way, where they are seen better.
  ...since("2.23", { links: [rare(links), linksTo] }),
  ...since("2.59", named(fields, { uuid: "id" })),
  ...since("2.80", named(fields, { user_id: "userId", project_id: "projectId" })),
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
  const changedAt = readChanges(text("changes-since"), text("changes-before"))
  const isPaged = known.includes("limit")
  const marked = readMarked(ctx, req, isPaged)
  const { items, read } = await listMigrations(ctx, {
    filters: { ...filters, ...(changedAt.length > 0 && { changedAt }) },
    page: marked,
  })
  return {
    migrations: items.map((each) => migration.show(ctx, req, each)),
    ...nextLink(ctx, req, "migrations", isPaged && read.count === marked.limit ? read.lastId : undefined),
  }
}

export const migrationRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-migrations",
    operation: listMigrations,
    told: { ...toldQuery(parameters), ...page("migrations", migration.shows) },
    handler: list,
  }),
]
