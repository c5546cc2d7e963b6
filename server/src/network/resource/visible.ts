// Which rows of a noun a viewer may see: his own, those in what is his (ports on his networks), those shared with him.
// Said once, and used in two forms: as a condition on one row, and as ranges of rows that indexes give, so that a list
// costs what its viewer sees and not what the cloud has.
import { type RawBuilder, sql } from "kysely"
import { type Visible, visibleToAll } from "../../platform/noun/noun.ts"
import { sharedIds, sharedWith, type Viewer } from "./viewer.ts"

export interface Sight {
  /** Column with the project that owns the row. */
  owner: RawBuilder<unknown>
  /** What the row lies in: who owns that sees the row too. */
  within?: {
    id: RawBuilder<unknown>
    owner: RawBuilder<unknown>
    /** `network.network`, whose `project_id` is the owner. */
    table: RawBuilder<unknown>
  }
  /** What RBAC policies share. */
  shared?: { objectType: string; objectId: RawBuilder<unknown>; actions?: readonly string[] }
}

const none = sql<boolean>`false`

export function visibleTo(viewer: Viewer, sight: Sight): Visible {
  if (viewer.seesAll) return visibleToAll
  const { projectId } = viewer
  const { owner, within, shared } = sight
  const row: RawBuilder<boolean>[] = []
  const others: RawBuilder<boolean>[] = []
  const own = sql<boolean>`${owner} = ${projectId}`
  if (projectId !== null) row.push(own)
  if (within && projectId !== null) {
    row.push(sql<boolean>`${within.owner} = ${projectId}`)
    const inside = sql`${within.id} = any(array(select w.id from ${within.table} w where w.project_id = ${projectId}))`
    // An index of (network, owner) passes over the viewer's own, which a `<>` would read.
    others.push(sql<boolean>`${inside} and ${owner} < ${projectId}`)
    others.push(sql<boolean>`${inside} and ${owner} > ${projectId}`)
  }
  if (shared) {
    row.push(sharedWith(viewer, shared.objectType, shared.objectId, shared.actions))
    const ids = sharedIds(viewer, shared.objectType, shared.actions)
    const foreign = [owner, ...(within ? [within.owner] : [])].map((o) => sql`${o} <> ${projectId}`)
    const rest = projectId === null ? sql`` : sql` and ${sql.join(foreign, sql` and `)}`
    others.push(sql<boolean>`${shared.objectId} = any(array(${ids}))${rest}`)
  }
  return {
    row: row.length === 0 ? none : sql<boolean>`(${sql.join(row, sql` or `)})`,
    main: projectId === null ? none : own,
    others,
  }
}
