// Lists with Keystone's filters: `name=x`, `name__contains=x` and its like, enabled, limit and marker.
import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../platform/context/context.ts"
import type { DbOrTx } from "../platform/db/database.ts"
import { type Rows, unknownMarker } from "./read.ts"

export const listComparators = [
  "equals",
  "contains",
  "startswith",
  "endswith",
  "icontains",
  "istartswith",
  "iendswith",
] as const
export type Comparator = (typeof listComparators)[number]

export const ListInput = Type.Object({
  filters: Type.Optional(
    Type.Array(
      Type.Object({
        key: Type.String(),
        comparator: Type.Unsafe<Comparator>({ type: "string", enum: [...listComparators] }),
        /** null: the column is empty. */
        value: Type.Union([Type.String(), Type.Boolean(), Type.Null()]),
      }),
    ),
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1 })),
  marker: Type.Optional(Type.String()),
})

export interface Filter {
  key: string
  comparator: Comparator
  value: string | boolean | null
}

export interface ListRequest {
  filters?: Filter[]
  limit?: number
  marker?: string
}

export interface ListSpec {
  /** As SQL names it. */
  table: RawBuilder<unknown>
  /** Filter key → column; every other key is an error of ours. */
  columns: Readonly<Record<string, RawBuilder<unknown>>>
  /** Whose names are the same in any case. */
  isNameFolded?: boolean
  /** Order before the id; `name` for most. */
  orderColumn?: string
  /** Column of the marker; `id` when absent. */
  idColumn?: string
}

/** A token of a domain sees what is in it. */
export function inOwnDomain({ caller }: Ctx): RawBuilder<boolean> {
  return caller.domainId ? sql<boolean>`domain_id = ${caller.domainId}` : sql<boolean>`true`
}

export async function listRows<T>(
  ctx: Ctx,
  spec: ListSpec,
  request: ListRequest,
  where: RawBuilder<unknown> = sql`true`,
  db: DbOrTx = ctx.db,
): Promise<Rows<T>> {
  const most = Math.min(request.limit ?? Number.POSITIVE_INFINITY, ctx.config.identity.listLimit)
  const conditions = [where, ...(request.filters ?? []).map((filter) => conditionOf(spec, filter))]
  const id = sql.ref(spec.idColumn ?? "id")
  const order = spec.orderColumn ? sql`${sql.ref(spec.orderColumn)}, ${id}` : id
  if (request.marker !== undefined) {
    // Who may not see it in the list does not learn from a marker that it is there.
    const known = await sql`select 1 from ${spec.table} where ${id} = ${request.marker} and ${where}`.execute(
      db,
    )
    if (known.rows.length === 0) throw unknownMarker(request.marker)
    conditions.push(sql`(${order}) > (select ${order} from ${spec.table} where ${id} = ${request.marker})`)
  }
  const result = await sql<T>`select * from ${spec.table} where ${sql.join(conditions, sql` and `)}
    order by ${order} limit ${most + 1}`.execute(db)
  const rows = result.rows.slice(0, most)
  const last = rows.at(-1) as { id: string } | undefined
  return { rows, nextMarker: result.rows.length > most ? (last?.id ?? null) : null }
}

function conditionOf(spec: ListSpec, filter: Filter): RawBuilder<unknown> {
  const column = spec.columns[filter.key]
  if (!column) throw new Error(`no column for the filter ${filter.key}`)
  const { comparator, value } = filter
  if (value === null) return sql`${column} is null`
  if (filter.key === "name" && spec.isNameFolded && comparator === "equals")
    return sql`lower(${column}) = lower(${value})`
  if (comparator === "equals" || typeof value === "boolean") return sql`${column} = ${value}`
  const isFolded = comparator.startsWith("i")
  const kind = isFolded ? comparator.slice(1) : comparator
  const escaped = value.replaceAll(/[\\%_]/g, (char) => `\\${char}`)
  const pattern = `${kind === "startswith" ? "" : "%"}${escaped}${kind === "endswith" ? "" : "%"}`
  return isFolded ? sql`${column} ilike ${pattern}` : sql`${column} like ${pattern}`
}
