// The copy of the monitored tables, kept by the server's "update2" notifications (ovsdb-server(7), Monitor_Cond).
// `initial` and `insert` leave out columns that hold their default; `modify` holds differences: for a set with
// room for several the members that come or go, for a map the keys that come, go or change, else the new value.
// Columns that may become long stand beside the rows and are patched in place: a set of ten thousand ports is not
// copied for one that comes.
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
  /** Of the set columns that stand beside the row: what came and went. */
  members: Readonly<Record<string, MemberChange>>
}

export interface MemberChange {
  added: readonly Atom[]
  removed: readonly Atom[]
}

export type MonitoredTables = Readonly<Record<string, readonly string[]>>
export type LongValue = Set<Atom> | Map<string, Atom>
type Table = Map<string, Row>
const nothing: Readonly<Record<string, MemberChange>> = {}

export class Replica {
  readonly #schema: DatabaseSchema
  readonly #columns: MonitoredTables
  readonly #tables = new Map<string, Table>()
  readonly #longColumns: MonitoredTables
  /** By table, row and column. */
  readonly #long = new Map<string, Map<string, Record<string, LongValue>>>()

  constructor(schema: DatabaseSchema, columns: MonitoredTables, longColumns: MonitoredTables = {}) {
    this.#schema = schema
    this.#columns = columns
    this.#longColumns = longColumns
    for (const table of Object.keys(columns)) this.#tables.set(table, new Map())
    for (const table of Object.keys(longColumns)) this.#long.set(table, new Map())
  }

  table(name: string): ReadonlyMap<string, Row> {
    const table = this.#tables.get(name)
    if (!table) throw new Error(`ovsdb: table ${name} is not monitored`)
    return table
  }

  /** The column that stands beside the row, as it is now; undefined where there is no such row. */
  long(table: string, uuid: string, column: string): LongValue | undefined {
    return this.#long.get(table)?.get(uuid)?.[column]
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
        const members = this.#patch(name, uuid, object(update))
        if (after) table.set(uuid, after)
        else table.delete(uuid)
        changes.push({ table: name, uuid, before, after, members })
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
        if (this.#longColumns[table]?.includes(column)) continue
        const type = columnType(this.#schema, table, column)
        row[column] = applyDiff(type, row[column] ?? defaultValue(type), diff)
      }
      return row
    }
    const given = object(update.initial ?? update.insert)
    const row: Record<string, Value> & { _uuid: string } = { _uuid: uuid }
    for (const column of this.#columns[table] ?? []) {
      if (this.#longColumns[table]?.includes(column)) continue
      const type = columnType(this.#schema, table, column)
      row[column] = column in given ? decodeValue(type, given[column]) : defaultValue(type)
    }
    return row
  }

  #patch(table: string, uuid: string, update: Record<string, unknown>): RowChange["members"] {
    const rows = this.#long.get(table)
    if (!rows) return nothing
    const changes: Record<string, MemberChange> = {}
    if ("delete" in update) {
      for (const [column, value] of Object.entries(rows.get(uuid) ?? {}))
        if (value instanceof Set && value.size > 0) changes[column] = { added: [], removed: [...value] }
      rows.delete(uuid)
      return changes
    }
    const given = object(update.modify ?? update.initial ?? update.insert)
    const values = rows.get(uuid) ?? {}
    rows.set(uuid, values)
    for (const column of this.#longColumns[table] ?? []) {
      const isMap = columnType(this.#schema, table, column).kind === "map"
      values[column] ??= isMap ? new Map() : new Set()
      const value = values[column]
      if (!(column in given)) continue
      if (value instanceof Map) patchMap(value, given[column])
      else changes[column] = patchSet(value, given[column])
    }
    return changes
  }

  /** What a reader of `prior` has to be told to know this replica: used after a new connection. */
  changesSince(prior: Replica): RowChange[] {
    const changes: RowChange[] = []
    for (const [name, table] of this.#tables) {
      const old = prior.#tables.get(name) ?? new Map<string, Row>()
      for (const [uuid, before] of old)
        if (!table.has(uuid)) {
          const members = this.#membersSince(prior, name, uuid)
          changes.push({ table: name, uuid, before, after: undefined, members })
        }
      for (const [uuid, after] of table) {
        const before = old.get(uuid)
        const members = this.#membersSince(prior, name, uuid)
        if (!before || !sameRow(before, after) || Object.keys(members).length > 0)
          changes.push({ table: name, uuid, before, after, members })
      }
    }
    return changes
  }

  #membersSince(prior: Replica, table: string, uuid: string): RowChange["members"] {
    const changes: Record<string, MemberChange> = {}
    for (const column of this.#longColumns[table] ?? []) {
      const before = prior.long(table, uuid, column) ?? new Set<Atom>()
      const after = this.long(table, uuid, column) ?? new Set<Atom>()
      if (before instanceof Map || after instanceof Map) continue
      const added = [...after].filter((atom) => !before.has(atom))
      const removed = [...before].filter((atom) => !after.has(atom))
      if (added.length > 0 || removed.length > 0) changes[column] = { added, removed }
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

function patchSet(set: Set<Atom>, diff: unknown): MemberChange {
  const added: Atom[] = []
  const removed: Atom[] = []
  for (const wire of members(diff)) {
    const atom = decodeAtom(wire)
    if (set.delete(atom)) removed.push(atom)
    else {
      set.add(atom)
      added.push(atom)
    }
  }
  return { added, removed }
}

function patchMap(map: Map<string, Atom>, diff: unknown): void {
  for (const [wireKey, wireValue] of pairs(diff)) {
    const key = String(decodeAtom(wireKey))
    const atom = decodeAtom(wireValue)
    if (map.get(key) === atom) map.delete(key)
    else map.set(key, atom)
  }
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
