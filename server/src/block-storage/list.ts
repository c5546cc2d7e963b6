// Lists of what projects have: of the caller's project, and for administrators who ask for it of all.
import { Type } from "typebox"
import type { Ctx } from "../platform/context/context.ts"
import type { Fields, ThingOf } from "../platform/noun/field.ts"
import { countThings, ListQuery } from "../platform/noun/list.ts"
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
    run: (ctx, asked) => {
      const { query, offset } = asked
      return listPage(ctx.db, of, viewerOfList(ctx, asked), { ...query, offset }, mostOf(ctx))
    },
  })
}

/** How many the list has on all its pages. */
export function countOfProjects<F extends Fields>(
  of: Noun<F, Viewer>,
  rule: string,
): Operation<ProjectsQuery, number> {
  return operation<typeof ProjectsQuery, number>({
    name: `${of.name}.count`,
    input: ProjectsQuery,
    rule,
    target: (ctx) => ({ project_id: ctx.caller.projectId }),
    run: async (ctx, asked) => await countThings(ctx.db, of, viewerOfList(ctx, asked), asked.query.filters),
  })
}

const viewerOfList = (ctx: Ctx, { isOfAllProjects }: ProjectsQuery): Viewer => ({
  projectId: ctx.caller.projectId,
  seesAll: isOfAllProjects && isAdmin(ctx),
})

const mostOf = (ctx: Ctx) => ctx.config.blockStorage.listLimitMost
