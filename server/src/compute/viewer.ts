// Who looks, as the nouns of this service need to know it: administrators see every project's, others their own.
import { type RawBuilder, sql } from "kysely"
import type { Ctx } from "../platform/context/context.ts"
import { type Visible, visibleToAll } from "../platform/noun/noun.ts"
import { isAdmin } from "./admin.ts"

export interface Viewer {
  projectId: string | null
  seesAll: boolean
}

export function viewerOf(ctx: Ctx): Viewer {
  return { projectId: ctx.caller.projectId, seesAll: isAdmin(ctx) }
}

/** For the program's own reads. */
export const everything: Viewer = { projectId: null, seesAll: true }

/** Rows that belong to one thing, of which alone a list is. `owner` is the column. */
export function ownRows(owner: RawBuilder<unknown>, id: string | number | null): Visible {
  const own = sql<boolean>`${owner} = ${id}`
  return { row: own, main: own, others: [] }
}

export function visibleTo({ projectId, seesAll }: Viewer, owner: RawBuilder<unknown>): Visible {
  return seesAll ? visibleToAll : ownRows(owner, projectId)
}
