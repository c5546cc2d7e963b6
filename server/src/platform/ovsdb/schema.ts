// What `get_schema` tells of each column, as far as it decides how values look on the wire.

export type AtomType = "integer" | "real" | "boolean" | "string" | "uuid"

export interface ColumnType {
  /** Optional columns (0 or 1 values) are sets. */
  kind: "scalar" | "set" | "map"
  key: AtomType
  /** Only of maps. */
  value: AtomType | undefined
  /** Most values the set may have; Infinity for unlimited. */
  max: number
}

export type TableSchema = ReadonlyMap<string, ColumnType>
export type DatabaseSchema = ReadonlyMap<string, TableSchema>

type Json = Record<string, unknown>

export function parseSchema(schema: unknown): DatabaseSchema {
  const tables = new Map<string, TableSchema>()
  for (const [name, table] of Object.entries(member(schema, "tables"))) {
    const columns = new Map<string, ColumnType>()
    for (const [column, definition] of Object.entries(member(table, "columns")))
      columns.set(column, parseType(member(definition).type))
    columns.set("_uuid", { kind: "scalar", key: "uuid", value: undefined, max: 1 })
    tables.set(name, columns)
  }
  return tables
}

function parseType(type: unknown): ColumnType {
  if (typeof type === "string") return { kind: "scalar", key: atomType(type), value: undefined, max: 1 }
  const { key, value, min = 1, max = 1 } = member(type)
  const most = max === "unlimited" ? Number.POSITIVE_INFINITY : Number(max)
  if (value !== undefined) return { kind: "map", key: baseType(key), value: baseType(value), max: most }
  return {
    kind: min === 1 && most === 1 ? "scalar" : "set",
    key: baseType(key),
    value: undefined,
    max: most,
  }
}

function baseType(base: unknown): AtomType {
  return typeof base === "string" ? atomType(base) : atomType(member(base).type)
}

function atomType(type: unknown): AtomType {
  if (type === "integer" || type === "real" || type === "boolean" || type === "string" || type === "uuid")
    return type
  throw new Error(`ovsdb schema: unknown type ${String(type)}`)
}

function member(value: unknown, name?: string): Json {
  const inner = name === undefined ? value : (value as Json | null | undefined)?.[name]
  if (typeof inner !== "object" || inner === null)
    throw new Error(`ovsdb schema: ${name ?? "object"} is missing`)
  return inner as Json
}

export function columnType(schema: DatabaseSchema, table: string, column: string): ColumnType {
  const columns = schema.get(table)
  if (!columns) throw new Error(`ovsdb: the database has no table ${table}`)
  const type = columns.get(column)
  if (!type) throw new Error(`ovsdb: table ${table} has no column ${column}`)
  return type
}
