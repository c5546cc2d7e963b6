import { Type } from "typebox"
import { rare, text } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { queryText } from "../../platform/http/query.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { querySchema } from "../../platform/noun/query-schema.ts"
import { type AssignmentView, listRoleAssignments, type NamedWithDomain } from "../index.ts"
import { v3Url } from "./discovery.ts"
import { flag, given } from "./read.ts"
import { flags, listOf, texts } from "./told.ts"
import { listReply } from "./view.ts"

const assignmentQuery = querySchema({
  ...texts("user.id", "group.id", "role.id", "scope.project.id", "scope.domain.id", "scope.system"),
  ...texts("scope.OS-INHERIT:inherited_to"),
  ...flags("effective", "include_names", "include_subtree"),
})

const domain = rare(Type.Object({ id: text, name: rare(text) }))
const named = Type.Object({ id: text, name: rare(text), domain })
const inherited = { "OS-INHERIT:inherited_to": rare(text) }
const scope = Type.Union([
  ...["project", "domain"].map((kind) => Type.Object({ [kind]: named, ...inherited })),
  Type.Object({ system: Type.Object({ all: Type.Boolean() }), ...inherited }),
])
const assignmentLinks = Type.Object({ assignment: text, membership: rare(text), prior_role: rare(text) })
const members = { role: named, scope, user: rare(named), group: rare(named), links: assignmentLinks }
const assignment = Type.Object(members, { title: "RoleAssignment" })

export const roleAssignmentRoutes = [
  route({
    method: "GET",
    path: "/role_assignments",
    operation: listRoleAssignments,
    told: { query: assignmentQuery, ...listOf("role_assignments", assignment) },
    handler: async (ctx, req) => {
      const rows = await listRoleAssignments(ctx, readQuery(req.query))
      const isNamed = flag(req.query, "include_names")
      return listReply(ctx, req, "role_assignments", rows, (...asked) => viewAssignment(...asked, isNamed))
    },
  }),
]

function readQuery(query: WireRequest["query"]) {
  const asked = (name: string) => queryText(query, name)
  const system = asked("scope.system")
  const projectId = asked("scope.project.id")
  const domainId = asked("scope.domain.id")
  if (system !== undefined && projectId !== undefined)
    throw invalid("scope", "Specify system or project, not both.")
  if (system !== undefined && domainId !== undefined)
    throw invalid("scope", "Specify system or domain, not both.")
  return given({
    userId: asked("user.id"),
    groupId: asked("group.id"),
    roleId: asked("role.id"),
    projectId,
    domainId,
    isSystem: system !== undefined,
    isInherited: asked("scope.OS-INHERIT:inherited_to") !== undefined,
    isEffective: flag(query, "effective"),
    isSubtreeIncluded: flag(query, "include_subtree"),
  })
}

function show(thing: NamedWithDomain, isNamed: boolean): Record<string, unknown> {
  if (!isNamed) return { id: thing.id }
  const domain = thing.domain_id ? { domain: { id: thing.domain_id, name: thing.domain_name } } : {}
  return { id: thing.id, name: thing.name, ...domain }
}

function viewAssignment(ctx: Ctx, req: WireRequest, row: AssignmentView, isNamed: boolean) {
  const base = v3Url(ctx, req.url)
  const isThroughGroup = row.user !== null && row.group !== null
  const isInherited = row.is_inherited || row.source_id !== null
  const place = row.target
    ? `/${row.source_kind ?? row.target_kind}s/${row.source_id ?? row.target.id}`
    : "/system"
  const actor =
    row.group !== null ? `/groups/${row.group.id}` : row.user !== null ? `/users/${row.user.id}` : ""
  const path = `${place}${actor}/roles/${row.prior_role_id ?? row.role.id}`
  const scope: Record<string, unknown> = row.target
    ? { [row.target_kind]: show(row.target, isNamed) }
    : { system: { all: true } }
  if (isInherited) scope["OS-INHERIT:inherited_to"] = "projects"
  return {
    role: show(row.role, isNamed),
    scope,
    ...(row.user ? { user: show(row.user, isNamed) } : {}),
    ...(row.group && !row.user ? { group: show(row.group, isNamed) } : {}),
    links: {
      assignment: isInherited ? `${base}/OS-INHERIT${path}/inherited_to_projects` : `${base}${path}`,
      ...(isThroughGroup ? { membership: `${base}/groups/${row.group?.id}/users/${row.user?.id}` } : {}),
      ...(row.prior_role_id
        ? { prior_role: `${base}/prior_role/${row.prior_role_id}/implies/${row.role.id}` }
        : {}),
    },
  }
}
