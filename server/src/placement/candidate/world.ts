import { type RawBuilder, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"

export interface Room {
  capacity: number
  used: number
  minUnit: number
  maxUnit: number
  stepSize: number
}

export interface Node {
  id: string
  parentId: string | null
  rootId: string
  traits: ReadonlySet<string>
  aggregates: ReadonlySet<string>
  rooms: ReadonlyMap<string, Room>
}

/** Providers by id, each with its whole tree. One read, so that what is decided on it fits together. */
export type World = ReadonlyMap<string, Node>

interface Row {
  id: string
  parent_id: string | null
  root_id: string
  traits: string[]
  aggregates: string[]
  rooms: { k: string; c: number; u: number; min: number; max: number; step: number }[] | null
}

/** `roots`: a query for the tops of the trees that are read; all without it. */
export async function readWorld(db: DbOrTx, roots?: RawBuilder<unknown>): Promise<World> {
  const found = await sql<Row>`
    select p.id, p.parent_id, p.root_id,
      array(select trait from placement.provider_trait t where t.provider_id = p.id order by 1) as traits,
      array(select aggregate_id::text from placement.provider_aggregate a where a.provider_id = p.id) as aggregates,
      (select jsonb_agg(jsonb_build_object('k', i.resource_class, 'c', i.capacity, 'u', i.used, 'min', i.min_unit,
          'max', i.max_unit, 'step', i.step_size))
        from placement.inventory i where i.provider_id = p.id) as rooms
    from placement.resource_provider p ${roots ? sql`where p.root_id in (${roots})` : sql``}
    order by p.created_at, p.id`.execute(db)
  return new Map(
    found.rows.map((row) => [
      row.id,
      {
        id: row.id,
        parentId: row.parent_id,
        rootId: row.root_id,
        traits: new Set(row.traits),
        aggregates: new Set(row.aggregates),
        rooms: new Map(
          (row.rooms ?? []).map((r) => [
            r.k,
            { capacity: r.c, used: r.u, minUnit: r.min, maxUnit: r.max, stepSize: r.step },
          ]),
        ),
      },
    ]),
  )
}
