// What hosts have and what is taken of it, as a part of another service's statement: one row a host, by its id.
import { type RawBuilder, sql } from "kysely"
import type { Resources } from "../allocation/claim.ts"

const classes = { VCPU: "v", MEMORY_MB: "m", DISK_GB: "d" } as const
type HostClass = keyof typeof classes

/** All of them, whatever they have: for whoever wants to know why a host does not do. */
export function allHostRooms(): RawBuilder<unknown> {
  return sql`select p.id, ${columns}
    from placement.resource_provider p
    left join placement.inventory m on m.provider_id = p.id and m.resource_class = 'MEMORY_MB'
    left join placement.inventory v on v.provider_id = p.id and v.resource_class = 'VCPU'
    left join placement.inventory d on d.provider_id = p.id and d.resource_class = 'DISK_GB'`
}

export interface RoomPage {
  resources: Resources
  /** By grades of free memory, most or least first; or by id, which is in no relation to what they have. */
  order: "free" | "tight" | "any"
  /** The last one of the page before; with `any` also where to begin. */
  after: { grade: number; id: string } | null
}

/** Hosts with room for all of it now: a part `from (…) r`, and the order in which the index has them. */
export function roomyHosts(page: RoomPage): { from: RawBuilder<unknown>; orderBy: RawBuilder<unknown> } {
  const { resources, order, after } = page
  const has = (name: HostClass) => fits(name, resources[name] ?? 0)
  const memory = resources.MEMORY_MB ?? 0
  const from = sql`select m.provider_id as id, m.free_grade as grade, ${columns}
    from placement.inventory m
    ${sql.raw(resources.VCPU ? "" : "left")} join placement.inventory v
      on v.provider_id = m.provider_id and v.resource_class = 'VCPU' ${has("VCPU")}
    ${sql.raw(resources.DISK_GB ? "" : "left")} join placement.inventory d
      on d.provider_id = m.provider_id and d.resource_class = 'DISK_GB' ${has("DISK_GB")}
    where m.resource_class = 'MEMORY_MB'
      and m.free_grade >= floor(ln(greatest(${memory}::bigint, 1)::double precision) * 20)::integer
      ${has("MEMORY_MB")} ${hasOthers(resources)} ${after ? behind(order, after) : sql``}`
  if (order === "any") return { from, orderBy: sql`r.id` }
  return { from, orderBy: order === "free" ? sql`r.grade desc, r.id desc` : sql`r.grade, r.id` }
}

/** What few servers ask for, and few hosts have. */
function hasOthers(resources: Resources): RawBuilder<unknown> {
  const others = Object.entries(resources).filter(([name, amount]) => !(name in classes) && amount > 0)
  const conditions = others.map(
    ([name, amount]) => sql`and exists (select from placement.inventory o
      where o.provider_id = m.provider_id and o.resource_class = ${name} and o.capacity - o.used >= ${amount}::bigint
        and ${amount}::bigint between o.min_unit and o.max_unit and mod(${amount}::bigint, o.step_size) = 0)`,
  )
  return conditions.length === 0 ? sql`` : sql.join(conditions, sql` `)
}

/** Inventories of the other classes and the traits, of a row with `id`, as JSON. */
export const otherRooms: RawBuilder<unknown> = sql`(select jsonb_object_agg(o.resource_class, jsonb_build_object(
    'total', o.total, 'reserved', o.reserved, 'capacity', o.capacity, 'used', o.used, 'maxUnit', o.max_unit))
  from placement.inventory o where o.provider_id = r.id and o.resource_class not in ('VCPU', 'MEMORY_MB', 'DISK_GB'))`
export const traitsOfRoom: RawBuilder<unknown> = sql`(select jsonb_agg(t.trait) from placement.provider_trait t where t.provider_id = r.id)`

function behind(order: RoomPage["order"], { grade, id }: { grade: number; id: string }): RawBuilder<unknown> {
  if (order === "any") return sql`and m.provider_id > ${id}::uuid`
  const is = sql.raw(order === "free" ? "<" : ">")
  return sql`and (m.free_grade, m.provider_id) ${is} (${grade}::integer, ${id}::uuid)`
}

/**
 * As a number that is not 0: PostgreSQL believes that nearly all rows meet that. Of the conditions by themselves it
 * believes that hardly any row meets them all, and reads and sorts all hosts instead of the first ones by the index.
 */
function fits(name: HostClass, amount: number): RawBuilder<unknown> {
  if (amount === 0) return sql``
  const i = sql.raw(classes[name])
  const wanted = sql`${amount}::bigint`
  return sql`and (${i}.capacity - ${i}.used >= ${wanted} and ${wanted} between ${i}.min_unit and ${i}.max_unit
      and mod(${wanted}, ${i}.step_size) = 0)::integer <> 0`
}

const facts = ["total", "reserved", "capacity", "used", "max_unit"] as const
const columns = sql.raw(
  Object.values(classes)
    .flatMap((i) => facts.map((fact) => `${i}.${fact} as ${i}_${fact}`))
    .join(", "),
)

export interface Room {
  total: number
  reserved: number
  capacity: number
  used: number
  maxUnit: number
}

/** Of a row with these columns, by resource class. */
export function roomsOf(row: Readonly<Record<string, unknown>>): Record<string, Room> {
  const rooms: Record<string, Room> = {}
  for (const [name, i] of Object.entries(classes)) {
    if (row[`${i}_capacity`] === null) continue
    // The columns are numbers where there is an inventory.
    const number = (fact: (typeof facts)[number]) => row[`${i}_${fact}`] as number
    rooms[name] = {
      total: number("total"),
      reserved: number("reserved"),
      capacity: number("capacity"),
      used: number("used"),
      maxUnit: number("max_unit"),
    }
  }
  return rooms
}
