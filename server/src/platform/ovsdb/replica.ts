// The copy of the monitored tables, kept by the server's "update2" notifications (ovsdb-server(7), Monitor_Cond).
// `initial` and `insert` leave out columns that hold their default; `modify` holds differences: for a set with
// room for several the members that come or go, for a map the keys that come, go or change, else the new value.
import { type ColumnType, columnType, type DatabaseSchema } from "./schema.ts"
import {
  type Atom,
  decodeAtom,
  decodeValue,
  members,
  pairs,
  type Row,
  sameValue,
  type Value,
} from "./value.ts"

export interface RowChange {
  table: string
  uuid: string
  /** Undefined for a new row. */
  before: Row | undefined
  /** Undefined for a row that is gone. */
  after: Row | undefined
}

export type MonitoredTables = Readonly<Record<string, readonly string[]>>
type Table = Map<string, Row>

export class Replica {
  readonly #schema: DatabaseSchema
  readonly #columns: MonitoredTables
  readonly #tables = new Map<string, Table>()

  constructor(schema: DatabaseSchema, columns: MonitoredTables) {
    this.#schema = schema
    this.#columns = columns
    for (const table of Object.keys(columns)) this.#tables.set(table, new Map())
  }

  table(name: string): ReadonlyMap<string, Row> {
    const table = this.#tables.get(name)
    if (!table) throw new Error(`ovsdb: table ${name} is not monitored`)
    return table
  }

  /** Takes in one notification (or the answer to monitor_cond) and tells what changed. */
  apply(updates: unknown): RowChange[] {
    const changes: RowChange[] = []
    for (const [name, rows] of Object.entries(object(updates))) {
      const table = this.#tables.get(name)
      if (!table) continue
      for (const [uuid, update] of Object.entries(object(rows))) {
        const before = table.get(uuid)
        const after = this.#next(name, uuid, before, object(update))
        if (after) table.set(uuid, after)
        else table.delete(uuid)
        changes.push({ table: name, uuid, before, after })
      }
    }
    return changes
  }

  #next(
    table: string,
    uuid: string,
    before: Row | undefined,
    update: Record<string, unknown>,
  ): Row | undefined {
    if ("delete" in update) return undefined
    if ("modify" in update) {
      if (!before) throw new Error(`ovsdb: ${table} ${uuid} is modified but unknown`)
      const row: Record<string, Value> & { _uuid: string } = { ...before }
      for (const [column, diff] of Object.entries(object(update.modify))) {
        const type = columnType(this.#schema, table, column)
        row[column] = applyDiff(type, row[column] ?? defaultValue(type), diff)
      }
      return row
    }
    const given = object(update.initial ?? update.insert)
    const row: Record<string, Value> & { _uuid: string } = { _uuid: uuid }
    for (const column of this.#columns[table] ?? []) {
      const type = columnType(this.#schema, table, column)
      row[column] = column in given ? decodeValue(type, given[column]) : defaultValue(type)
    }
    return row
  }

  /** What a reader of `prior` has to be told to know this replica: used after a new connection. */
  changesSince(prior: Replica): RowChange[] {
    const changes: RowChange[] = []
    for (const [name, table] of this.#tables) {
      const old = prior.#tables.get(name) ?? new Map<string, Row>()
      for (const [uuid, before] of old)
        if (!table.has(uuid)) changes.push({ table: name, uuid, before, after: undefined })
      for (const [uuid, after] of table) {
        const before = old.get(uuid)
        if (!before || !sameRow(before, after)) changes.push({ table: name, uuid, before, after })
      }
    }
    return changes
  }
}

function sameRow(a: Row, b: Row): boolean {
  return Object.keys(b).every((column) => {
    const left = a[column]
    const right = b[column]
    return left !== undefined && right !== undefined && sameValue(left, right)
  })
}

function applyDiff(type: ColumnType, value: Value, diff: unknown): Value {
  if (type.kind === "map") {
    const map: Record<string, Atom> = { ...(value as Record<string, Atom>) }
    for (const [wireKey, wireValue] of pairs(diff)) {
      const key = String(decodeAtom(wireKey))
      const atom = decodeAtom(wireValue)
      if (map[key] === atom) delete map[key]
      else map[key] = atom
    }
    return map
  }
  if (type.kind === "set" && type.max > 1) {
    const set = new Set<Atom>(value as readonly Atom[])
    for (const wire of members(diff)) {
      const atom = decodeAtom(wire)
      if (!set.delete(atom)) set.add(atom)
    }
    return [...set]
  }
  return decodeValue(type, diff)
}

export function defaultValue(type: ColumnType): Value {
  if (type.kind === "map") return {}
  if (type.kind === "set") return []
  if (type.key === "string") return ""
  if (type.key === "boolean") return false
  if (type.key === "uuid") return "00000000-0000-0000-0000-000000000000"
  return 0
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new Error("ovsdb: an update is no object")
  return value as Record<string, unknown>
}
