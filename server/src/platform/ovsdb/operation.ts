// The operations of a transaction (RFC 7047, section 5.2) as plain data, and their form on the wire.
import { columnType, type DatabaseSchema } from "./schema.ts"
import { encodeAtom, encodeValue, type NamedRow, type WriteAtom, type WriteValue } from "./value.ts"

export type Columns = Readonly<Record<string, WriteValue>>

/** `==`, `!=` compare whole values; `includes`, `excludes` look into sets and maps. */
export type Condition = readonly [
  column: string,
  test: "==" | "!=" | "<" | "<=" | ">" | ">=" | "includes" | "excludes",
  value: WriteValue,
]

/** `insert` adds set members or map entries, `delete` takes them away (of a map also by key alone). */
export type Mutation =
  | readonly [column: string, change: "insert" | "delete", value: WriteValue]
  | readonly [column: string, change: "deleteKeys", keys: readonly string[]]
  | readonly [column: string, change: "+=" | "-=", value: number]

export type Operation =
  | { op: "insert"; table: string; row: Columns; name?: string }
  | { op: "update"; table: string; where: readonly Condition[]; row: Columns }
  | { op: "mutate"; table: string; where: readonly Condition[]; mutations: readonly Mutation[] }
  | { op: "delete"; table: string; where: readonly Condition[] }
  | { op: "select"; table: string; where: readonly Condition[]; columns?: readonly string[] }
  | {
      op: "wait"
      table: string
      where: readonly Condition[]
      columns: readonly string[]
      until: "==" | "!="
      rows: readonly Columns[]
      timeoutMs: number
    }
  | { op: "assert"; lock: string }
  | { op: "comment"; comment: string }

/** The condition that picks one row. */
export function byUuid(uuid: string | NamedRow): Condition[] {
  return [["_uuid", "==", uuid]]
}

export function encodeOperation(schema: DatabaseSchema, operation: Operation): unknown {
  switch (operation.op) {
    case "comment":
    case "assert":
      return operation
    case "insert": {
      const row = encodeColumns(schema, operation.table, operation.row)
      const name = operation.name === undefined ? {} : { "uuid-name": operation.name }
      return { op: "insert", table: operation.table, row, ...name }
    }
    case "update":
      return {
        op: "update",
        table: operation.table,
        where: encodeWhere(schema, operation.table, operation.where),
        row: encodeColumns(schema, operation.table, operation.row),
      }
    case "mutate":
      return {
        op: "mutate",
        table: operation.table,
        where: encodeWhere(schema, operation.table, operation.where),
        mutations: operation.mutations.map((mutation) => encodeMutation(schema, operation.table, mutation)),
      }
    case "delete":
      return {
        op: "delete",
        table: operation.table,
        where: encodeWhere(schema, operation.table, operation.where),
      }
    case "select":
      return {
        op: "select",
        table: operation.table,
        where: encodeWhere(schema, operation.table, operation.where),
        ...(operation.columns ? { columns: operation.columns } : {}),
      }
    case "wait":
      return {
        op: "wait",
        timeout: operation.timeoutMs,
        table: operation.table,
        where: encodeWhere(schema, operation.table, operation.where),
        columns: operation.columns,
        until: operation.until,
        rows: operation.rows.map((row) => encodeColumns(schema, operation.table, row)),
      }
  }
}

function encodeColumns(schema: DatabaseSchema, table: string, row: Columns): Record<string, unknown> {
  const wire: Record<string, unknown> = {}
  for (const [column, value] of Object.entries(row))
    wire[column] = encodeValue(columnType(schema, table, column), value)
  return wire
}

function encodeWhere(schema: DatabaseSchema, table: string, where: readonly Condition[]): unknown[] {
  return where.map(([column, test, value]) => [
    column,
    test,
    encodeValue(columnType(schema, table, column), value),
  ])
}

function encodeMutation(schema: DatabaseSchema, table: string, mutation: Mutation): unknown {
  const [column, change, value] = mutation
  const type = columnType(schema, table, column)
  if (change === "deleteKeys")
    return [
      column,
      "delete",
      ["set", (value as readonly WriteAtom[]).map((key) => encodeAtom(type.key, key))],
    ]
  if (change === "+=" || change === "-=") return [column, change, value]
  return [column, change, encodeValue(type, value)]
}
