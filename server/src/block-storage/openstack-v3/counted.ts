// Lists that say how many there are on all their pages, where that is asked.
import { count, from, links, many, rare, type Shape, shape } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { queryBoolean } from "../../platform/http/query.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import type { Operation } from "../../platform/operation/operation.ts"
import type { ProjectsQuery } from "../list.ts"

export const countQuery = "with_count"
export const countedFrom = "3.45"

/** For documents. */
export const toldCount = { [countQuery]: { type: "boolean" } } as const

export function countedPage(name: string, title: string, of: Shape): { answer: Shape } {
  const members = { [name]: many(of), [`${name}_links`]: rare(links), count: rare(from(countedFrom, count)) }
  return { answer: shape(title, members) }
}

/** `count`, where the request asks for it. */
export async function countOf(
  ctx: Ctx,
  req: WireRequest,
  asked: ProjectsQuery,
  counts: Operation<ProjectsQuery, number>,
): Promise<{ count?: number }> {
  const isCounted = atLeast(req.version, countedFrom) && (queryBoolean(req.query, countQuery) ?? false)
  return isCounted ? { count: await counts(ctx, asked) } : {}
}
