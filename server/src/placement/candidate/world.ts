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

/** Class, capacity, used, and the units: smallest, largest, step. */
type RoomRow = [string, number, number, number, number, number]

interface Row {
  id: string
  parent_id: string | null
  root_id: string
  traits: string[] | null
  aggregates: string[] | null
  rooms: RoomRow[] | null
}

/** `roots`: a query for the tops of the trees that are read; all without it. */
export async function readWorld(db: DbOrTx, roots?: RawBuilder<unknown>): Promise<World> {
  const { rows } = await worldQuery(roots).execute(db)
  return new Map(rows.map((row) => [row.id, nodeOf(row)]))
}

/** Each of the three tables is read once for all providers: all of them are thousands. */
export function worldQuery(roots?: RawBuilder<unknown>): RawBuilder<Row> {
  return sql<Row>`
    with provider as materialized (
      select p.id, p.parent_id, p.root_id, p.created_at from placement.resource_provider p
      ${roots ? sql`where p.root_id in (${roots})` : sql``}),
    trait as (
      select t.provider_id, json_agg(t.trait) as traits
      from placement.provider_trait t join provider p on p.id = t.provider_id group by t.provider_id),
    aggregate as (
      select a.provider_id, json_agg(a.aggregate_id) as aggregates
      from placement.provider_aggregate a join provider p on p.id = a.provider_id group by a.provider_id),
    room as (
      select i.provider_id, json_agg(json_build_array(
        i.resource_class, i.capacity, i.used, i.min_unit, i.max_unit, i.step_size)) as rooms
      from placement.inventory i join provider p on p.id = i.provider_id group by i.provider_id)
    select p.id, p.parent_id, p.root_id, trait.traits, aggregate.aggregates, room.rooms
    from provider p
      left join trait on trait.provider_id = p.id
      left join aggregate on aggregate.provider_id = p.id
      left join room on room.provider_id = p.id
    order by p.created_at, p.id`
}

function nodeOf(row: Row): Node {
  return {
    id: row.id,
    parentId: row.parent_id,
    rootId: row.root_id,
    traits: new Set(row.traits?.sort()),
    aggregates: new Set(row.aggregates),
    rooms: new Map(
      (row.rooms ?? []).map(([name, capacity, used, minUnit, maxUnit, stepSize]) => [
        name,
        { capacity, used, minUnit, maxUnit, stepSize },
      ]),
    ),
  }
}
