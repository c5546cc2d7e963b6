// Role assignments as they are written, or (effective) as they work: groups taken apart into their members,
// inherited ones put onto the projects below, implied roles added.
import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { projectNoun } from "../project/project.ts"
import { find } from "../read.ts"

export interface Named {
  id: string
  name: string
  domain_id: string | null
  domain_name: string | null
}

export interface AssignmentView {
  user: Named | null
  /** The assignee, or in an effective list the group through which the user has it. */
  group: Named | null
  role: Named
  target_kind: "project" | "domain" | "system"
  target: Named | null
  is_inherited: boolean
  /** Where an inherited one that is shown at its effect is written. */
  source_kind: "project" | "domain" | null
  source_id: string | null
  /** The assigned role that implies this one. */
  prior_role_id: string | null
}

const Query = Type.Object({
  userId: Type.Optional(Type.String()),
  groupId: Type.Optional(Type.String()),
  roleId: Type.Optional(Type.String()),
  projectId: Type.Optional(Type.String()),
  domainId: Type.Optional(Type.String()),
  isSystem: Type.Optional(Type.Boolean()),
  /** Only those that are for what is below. */
  isInherited: Type.Optional(Type.Boolean()),
  isEffective: Type.Optional(Type.Boolean()),
  isSubtreeIncluded: Type.Optional(Type.Boolean()),
})

interface AssignmentQuery {
  userId?: string
  groupId?: string
  roleId?: string
  projectId?: string
  domainId?: string
  isSystem?: boolean
  isInherited?: boolean
  isEffective?: boolean
  isSubtreeIncluded?: boolean
}

export const listRoleAssignments = operation({
  name: "identity.role_assignment.list",
  input: Query,
  load: async (ctx, input) => (input.projectId ? await find(ctx.db, projectNoun, input.projectId) : null),
  rules: ["identity:list_role_assignments", "identity:list_role_assignments_for_tree"],
  authorize: (ctx, input, place) => [
    [
      input.isSubtreeIncluded ? "identity:list_role_assignments_for_tree" : "identity:list_role_assignments",
      {
        "target.domain_id": input.isSubtreeIncluded ? place?.domainId : ctx.caller.domainId,
        "target.project.id": input.projectId,
      },
    ],
  ],
  run: async (ctx, input): Promise<AssignmentView[]> => {
    checkQuery(input)
    const rows = await readAssignments(ctx, input)
    const own = ctx.caller.domainId
    // A token of a domain sees what is about its projects and itself.
    return own ? rows.filter((row) => (row.target?.domain_id ?? row.target?.id) === own) : rows
  },
})

function checkQuery(input: AssignmentQuery): void {
  if (input.isEffective && input.groupId !== undefined)
    throw invalid("group.id", "Combining effective and group filter will always result in an empty list.")
  if (input.isEffective && input.isInherited && input.domainId !== undefined) {
    throw invalid(
      "scope.OS-INHERIT:inherited_to",
      "Combining effective, domain and inherited filters will always result in an empty list.",
    )
  }
  if (input.projectId !== undefined && input.domainId !== undefined)
    throw invalid("scope", "Specify a domain or project, not both.")
  if (input.userId !== undefined && input.groupId !== undefined)
    throw invalid("user.id", "Specify a user or group, not both.")
  if (input.isSubtreeIncluded && input.projectId === undefined)
    throw invalid("include_subtree", "scope.project.id must be specified if include_subtree is specified.")
}

async function readAssignments(ctx: Ctx, q: AssignmentQuery): Promise<AssignmentView[]> {
  const source = q.isEffective ? effectiveRows(q) : plainRows(q)
  const result = await sql<AssignmentView>`
    with recursive wanted (id) as (
      select id from identity.project where id = ${q.projectId ?? null}
      union
      select p.id from wanted w join identity.project p on p.parent_id = w.id where ${q.isSubtreeIncluded ?? false}
    ),
    above (id) as (
      select parent_id from identity.project where id in (select id from wanted)
      union
      select p.parent_id from above a join identity.project p on p.id = a.id
    ),
    ${source}
    select
      ${named(sql`u`, sql`ud`)} as "user",
      ${named(sql`g`, sql`gd`)} as "group",
      ${named(sql`r`, sql`rd`)} as role,
      a.target_kind,
      ${named(sql`t`, sql`td`)} as target,
      a.is_inherited, a.source_kind, a.source_id, a.prior_role_id
    from shown a
    join identity.role r on r.id = a.role_id
    left join identity.project rd on rd.id = r.domain_id
    left join identity."user" u on u.id = a.user_id
    left join identity.project ud on ud.id = u.domain_id
    left join identity."group" g on g.id = a.group_id
    left join identity.project gd on gd.id = g.domain_id
    left join identity.project t on t.id = a.target_id
    left join identity.project td on td.id = t.domain_id
    where ${sql.join(filters(q), sql` and `)}
    order by a.user_id, a.group_id, a.target_id, a.role_id limit ${ctx.config.identity.listLimit}`.execute(
    ctx.db,
  )
  return result.rows
}

function named(row: RawBuilder<unknown>, domain: RawBuilder<unknown>) {
  return sql`case when ${row}.id is null then null else jsonb_build_object('id', ${row}.id, 'name', ${row}.name,
    'domain_id', ${domain}.id, 'domain_name', ${domain}.name) end`
}

function filters(q: AssignmentQuery): RawBuilder<unknown>[] {
  return [
    sql`true`,
    ...(q.userId === undefined ? [] : [sql`a.user_id = ${q.userId}`]),
    ...(q.groupId === undefined ? [] : [sql`a.group_id = ${q.groupId}`]),
    ...(q.roleId === undefined ? [] : [sql`a.role_id = ${q.roleId}`]),
    ...(q.projectId === undefined
      ? []
      : [sql`a.target_kind = 'project' and a.target_id in (select id from wanted)`]),
    ...(q.domainId === undefined ? [] : [sql`a.target_kind = 'domain' and a.target_id = ${q.domainId}`]),
    ...(q.isSystem ? [sql`a.target_kind = 'system'`] : []),
    ...(q.isInherited ? [sql`(a.is_inherited or a.source_id is not null)`] : []),
  ]
}

function plainRows(q: AssignmentQuery): RawBuilder<unknown> {
  return sql`shown as (
    select user_id, group_id, target_kind, target_id, role_id, is_inherited,
      null::text as source_kind, null::text as source_id, null::text as prior_role_id
    from identity.assignment a where ${sql.join(reach(q), sql` and `)}
  )`
}

/** Narrows the written assignments before they are taken apart: few of many are of use to most questions. */
function reach(q: AssignmentQuery): RawBuilder<unknown>[] {
  const ofUser = sql`(a.user_id = ${q.userId}
    or a.group_id in (select group_id from identity.group_member where user_id = ${q.userId}))`
  const ofProject = sql`(a.target_id in (select id from wanted)
    or a.is_inherited and a.target_id in (select id from above))`
  return [
    sql`true`,
    ...(q.userId === undefined ? [] : [ofUser]),
    ...(q.groupId === undefined ? [] : [sql`a.group_id = ${q.groupId}`]),
    ...(q.projectId === undefined ? [] : [ofProject]),
    ...(q.domainId === undefined ? [] : [sql`a.target_id = ${q.domainId}`]),
    ...(q.isSystem ? [sql`a.target_kind = 'system'`] : []),
  ]
}

function effectiveRows(q: AssignmentQuery): RawBuilder<unknown> {
  return sql`written as materialized (select * from identity.assignment a where ${sql.join(reach(q), sql` and `)}),
    below (source_id, id) as (
      select distinct w.target_id, p.id from written w join identity.project p on p.parent_id = w.target_id
        where w.is_inherited
      union
      select b.source_id, p.id from below b join identity.project p on p.parent_id = b.id
    ),
    placed as (
      select user_id, group_id, target_kind, target_id, role_id,
        null::text as source_kind, null::text as source_id
      from written where not is_inherited
      union
      select w.user_id, w.group_id, 'project', b.id, w.role_id, w.target_kind, w.target_id
      from written w join below b on b.source_id = w.target_id where w.is_inherited
    ),
    held as (
      select p.user_id, null::text as group_id, p.target_kind, p.target_id, p.role_id, p.source_kind, p.source_id
      from placed p where p.user_id is not null
      union
      select m.user_id, p.group_id, p.target_kind, p.target_id, p.role_id, p.source_kind, p.source_id
      from placed p join identity.group_member m on m.group_id = p.group_id
    ),
    inferred (prior_role_id, role_id) as (
      select prior_role_id, implied_role_id from identity.implied_role
      union
      select i.prior_role_id, n.implied_role_id from inferred i
      join identity.implied_role n on n.prior_role_id = i.role_id
    ),
    shown as (
      select h.user_id, h.group_id, h.target_kind, h.target_id, h.role_id, false as is_inherited,
        h.source_kind, h.source_id, null::text as prior_role_id
      from held h join identity.role r on r.id = h.role_id where r.domain_id is null
      union
      select h.user_id, h.group_id, h.target_kind, h.target_id, i.role_id, false,
        h.source_kind, h.source_id, h.role_id
      from held h join inferred i on i.prior_role_id = h.role_id
      join identity.role r on r.id = i.role_id where r.domain_id is null
    )`
}
