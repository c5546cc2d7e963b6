// From the rows that shall be and the rows that are to the operations between them. Pure. A row is ours when it
// bears our mark and our cloud's id; others are neither changed nor removed, and neither are members of a
// reference column or keys of external_ids that are not ours.
import {
  type Atom,
  byUuid,
  type Columns,
  type Mutation,
  type NamedRow,
  type Operation,
  type Row,
  sameValue,
  type Value,
  type WriteValue,
} from "../../../platform/ovsdb/index.ts"
import type { ReconcileReport } from "../network-driver.ts"
import { cloudKey, type DesiredRow, idKey, managedTables, type TableName, tableNames } from "./row.ts"

export type HaveRows = Readonly<Record<TableName, ReadonlyMap<string, Row>>>

export interface Plan {
  operations: Operation[]
  report: ReconcileReport
}

type Index = Map<string, Row>
const keyOf = (table: TableName, id: string) => `${table} ${id}`

export function plan(desired: readonly DesiredRow[], have: HaveRows, cloudId: string): Plan {
  const { index, ours } = indexRows(have, cloudId)
  const wanted = new Map(desired.map((row) => [keyOf(row.table, row.id), row]))
  const names = new Map<string, NamedRow>()
  for (const key of wanted.keys()) if (!index.has(key)) names.set(key, { named: `row${names.size}` })
  const resolve = (table: TableName, id: string): string | NamedRow | undefined => {
    const key = keyOf(table, id)
    if (!wanted.has(key)) return undefined
    return index.get(key)?._uuid ?? names.get(key)
  }
  const operations: Operation[] = []
  const report = { created: 0, updated: 0, removed: 0 }
  for (const [key, row] of wanted) {
    const existing = index.get(key)
    const changes = existing
      ? change(row, existing, ours, resolve, cloudId)
      : [insert(row, names.get(key), resolve, cloudId)]
    if (changes.length > 0) report[existing ? "updated" : "created"] += 1
    operations.push(...changes)
  }
  const kept = new Set([...wanted.keys()].map((key) => index.get(key)?._uuid))
  for (const table of tableNames)
    for (const uuid of have[table].keys()) {
      if (!ours.has(uuid) || kept.has(uuid)) continue
      report.removed += 1
      // Rows of the other tables go by themselves once nothing refers to them.
      if (managedTables[table].isRoot) operations.push({ op: "delete", table, where: byUuid(uuid) })
    }
  return { operations, report }
}

/** The id that we gave the row; undefined for a row that is not ours. */
export function ownId(row: Row, cloudId: string): string | undefined {
  const ids = mapOf(row.external_ids)
  return ids[idKey] === undefined || ids[cloudKey] !== cloudId ? undefined : String(ids[idKey])
}

/** Our rows by key; of two with the same key (written by two of us at once) the first by uuid stays. */
function indexRows(have: HaveRows, cloudId: string): { index: Index; ours: Set<string> } {
  const index: Index = new Map()
  const ours = new Set<string>()
  for (const table of tableNames)
    for (const row of have[table].values()) {
      const id = ownId(row, cloudId)
      if (id === undefined) continue
      ours.add(row._uuid)
      const key = keyOf(table, id)
      const other = index.get(key)
      if (!other || row._uuid < other._uuid) index.set(key, row)
    }
  return { index, ours }
}

export type Resolve = (table: TableName, id: string) => string | NamedRow | undefined

function references(row: DesiredRow, column: string, resolve: Resolve): (string | NamedRow)[] {
  const ref = row.refs?.[column]
  if (!ref) return []
  return ref.ids.map((id) => resolve(ref.table, id)).filter((target) => target !== undefined)
}

function externalIds(row: DesiredRow, cloudId: string): Record<string, string> {
  return { [idKey]: row.id, [cloudKey]: cloudId, ...row.externalIds }
}

export function insert(
  row: DesiredRow,
  name: NamedRow | undefined,
  resolve: Resolve,
  cloudId: string,
): Operation {
  const columns: Record<string, WriteValue> = { ...row.columns, external_ids: externalIds(row, cloudId) }
  for (const column of managedTables[row.table].refs) columns[column] = references(row, column, resolve)
  return { op: "insert", table: row.table, row: columns, ...(name ? { name: name.named } : {}) }
}

export function change(
  row: DesiredRow,
  existing: Row,
  ours: ReadonlySet<string>,
  resolve: Resolve,
  cloudId: string,
): Operation[] {
  const where = byUuid(existing._uuid)
  const update = changedColumns(row, existing)
  const mutations: Mutation[] = []
  for (const column of managedTables[row.table].refs)
    mutations.push(...referenceChanges(column, existing[column], references(row, column, resolve), ours))
  mutations.push(...externalIdChanges(mapOf(existing.external_ids), externalIds(row, cloudId)))
  const operations: Operation[] = []
  if (Object.keys(update).length > 0) operations.push({ op: "update", table: row.table, where, row: update })
  if (mutations.length > 0) operations.push({ op: "mutate", table: row.table, where, mutations })
  return operations
}

function changedColumns(row: DesiredRow, existing: Row): Columns {
  const update: Record<string, WriteValue> = {}
  for (const [column, value] of Object.entries(row.columns)) {
    const now = existing[column]
    // Columns never hold references to new rows (those are in `refs`), so a written value reads the same.
    if (now === undefined || !sameValue(now, value as Value)) update[column] = value
  }
  return update
}

function referenceChanges(
  column: string,
  now: Value | undefined,
  target: readonly (string | NamedRow)[],
  ours: ReadonlySet<string>,
): Mutation[] {
  const present = new Set<Atom>(Array.isArray(now) ? now : [])
  const wanted = new Set<string | NamedRow>(target)
  const missing = target.filter((each) => typeof each !== "string" || !present.has(each))
  const extra = [...present].filter(
    (uuid): uuid is string => typeof uuid === "string" && ours.has(uuid) && !wanted.has(uuid),
  )
  const mutations: Mutation[] = []
  // Away first: an optional reference has room for one.
  if (extra.length > 0) mutations.push([column, "delete", extra])
  if (missing.length > 0) mutations.push([column, "insert", missing])
  return mutations
}

function externalIdChanges(now: Record<string, Atom>, target: Record<string, string>): Mutation[] {
  const stale = Object.keys(now).filter((key) => key.startsWith("kumoi:") && target[key] !== now[key])
  const missing = Object.entries(target).filter(([key, value]) => now[key] !== value)
  const mutations: Mutation[] = []
  if (stale.length > 0) mutations.push(["external_ids", "deleteKeys", stale])
  if (missing.length > 0) mutations.push(["external_ids", "insert", Object.fromEntries(missing)])
  return mutations
}

export function mapOf(value: Value | undefined): Record<string, Atom> {
  // Of a map column; the schema said so when it was read.
  return typeof value === "object" && !Array.isArray(value) ? (value as Record<string, Atom>) : {}
}
