// Lists of what projects have: of the caller's project, and for administrators who ask for it of all.
import { Type } from "typebox"
import type { Ctx } from "../platform/context/context.ts"
import type { Fields, ThingOf } from "../platform/noun/field.ts"
import { ListQuery } from "../platform/noun/list.ts"
import type { Noun } from "../platform/noun/noun.ts"
import { type Listed, listPage } from "../platform/noun/page.ts"
import { type Operation, operation } from "../platform/operation/operation.ts"
import { isAdmin, type Viewer } from "./viewer.ts"

export const ProjectsQuery = Type.Object({
  /** Only administrators get those of all; others get their own and no error, as from Cinder. */
  isOfAllProjects: Type.Boolean(),
  query: ListQuery,
  /** Rows that are passed over. */
  offset: Type.Integer({ minimum: 0 }),
})
export type ProjectsQuery = Type.Static<typeof ProjectsQuery>

export function listOfProjects<F extends Fields>(
  of: Noun<F, Viewer>,
  rule: string,
): Operation<ProjectsQuery, Listed<ThingOf<F>>> {
  return operation<typeof ProjectsQuery, Listed<ThingOf<F>>>({
    name: `${of.name}.list`,
    input: ProjectsQuery,
    faults: [of.notFound],
    rule,
    target: (ctx) => ({ project_id: ctx.caller.projectId }),
    run: (ctx, { isOfAllProjects, query, offset }) => {
      const viewer = { projectId: ctx.caller.projectId, seesAll: isOfAllProjects && isAdmin(ctx) }
      return listPage(ctx.db, of, viewer, { ...query, offset }, mostOf(ctx))
    },
  })
}

const mostOf = (ctx: Ctx) => ctx.config.blockStorage.listLimitMost
