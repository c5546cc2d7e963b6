// What the database has of a side: every row that mentions one of its ids or names.
import type pg from "pg"

/** Work, its log, and what is remembered of requests: no state of the things themselves. */
const leftOut = /^(engine|platform|public)\./

export async function tablesOf(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(`select table_schema || '.' || table_name as name
    from information_schema.tables where table_type = 'BASE TABLE'
      and table_schema not in ('pg_catalog', 'information_schema') order by 1`)
  return rows.map((row) => row.name).filter((name) => !leftOut.test(name))
}

const quoted = (name: string) =>
  name
    .split(".")
    .map((part) => `"${part}"`)
    .join(".")

/**
 * Of each table what changes with any of its rows: how many there are, and the sum of the transactions that wrote them.
 * Who writes does so in a transaction later than all before it, so the two cannot both stay.
 */
export async function fingerprintsOf(pool: pg.Pool, tables: readonly string[]): Promise<Map<string, string>> {
  const parts = tables.map(
    (name) =>
      `select '${name}' as name, count(*) || ' ' || coalesce(sum(xmin::text::bigint), 0) as print from ${quoted(name)}`,
  )
  const { rows } = await pool.query<{ name: string; print: string }>(parts.join(" union all "))
  return new Map(rows.map(({ name, print }) => [name, print]))
}

/** Rows as text, with the name of their table, by table. */
export async function rowsThatName(
  pool: pg.Pool,
  tables: readonly string[],
  marks: readonly string[],
): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>(tables.map((name) => [name, []]))
  if (tables.length === 0) return found
  const pattern = marks.map((mark) => mark.replaceAll(/[^\w-]/g, "\\$&")).join("|")
  const parts = tables.map(
    (name) =>
      `select '${name}' as name, r.t as row from (select to_jsonb(x)::text as t from ${quoted(name)} x) r where r.t ~ $1`,
  )
  const { rows } = await pool.query<{ name: string; row: string }>(parts.join(" union all "), [pattern])
  for (const { name, row } of rows) found.get(name)?.push(`${name} ${row}`)
  return found
}

export function difference(before: ReadonlySet<string>, after: ReadonlySet<string>): string[] {
  const gone = [...before].filter((row) => !after.has(row)).map((row) => `- ${row}`)
  const come = [...after].filter((row) => !before.has(row)).map((row) => `+ ${row}`)
  return [...gone, ...come]
}
