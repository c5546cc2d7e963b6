// The plan: the operations between what is told and the rows that are. Pure. Looks at the rows of what is told only.
// A row is ours when it bears our mark and our cloud's id; others are neither changed nor removed, and neither are
// keys of external_ids that are not ours.
import type { Atom, Row } from "../../../platform/ovsdb/index.ts"
import {
  byUuid,
  type Columns,
  type Mutation,
  type NamedRow,
  type Operation,
  sameValue,
  type Value,
  type WriteValue,
} from "../../../platform/ovsdb/index.ts"
import type { Follow, NetworkChange, ReconcileReport, Told } from "../network-driver.ts"
import { type GatewayContext, gatewaysOwner } from "./gateways.ts"
import { type HaveIndex, type HaveRow, mapOf } from "./have-index.ts"
import { cloudKey, type DesiredRow, idKey, managedTables, ownerKey, ownerOf, type RowKey } from "./row.ts"
import { sharedKeys } from "./switch.ts"

export interface Plan {
  operations: Operation[]
  report: ReconcileReport
  follow: Follow
}

export interface PlanContext extends GatewayContext {
  /** The records of a row of DNS. */
  records: (uuid: string) => ReadonlyMap<string, Atom>
}

/** The plan, or what the told stands on and the engine has not. */
export type Planned = Plan | { missing: Partial<Told> }

export type Target = string | NamedRow

interface Listing {
  table: DesiredRow["table"]
  target: Target
  column: string
  away: string[]
  added: Target[]
}

/** Rows that list others, by table: what of ours they stand for. */
const nounOf: Partial<Record<DesiredRow["table"], keyof Told>> = {
  Logical_Switch: "networks",
  Logical_Router: "routers",
  Port_Group: "securityGroups",
  DHCP_Options: "subnets",
}

export class Planner {
  readonly #change: NetworkChange
  readonly #index: HaveIndex
  readonly #cloudId: string
  readonly #inserts: Operation[] = []
  readonly #updates: Operation[] = []
  readonly #deletes: Operation[] = []
  readonly #names = new Map<string, NamedRow>()
  readonly #listings = new Map<string, Listing>()
  readonly #kept = new Set<string>()
  readonly #updated = new Set<string>()
  readonly #removed = new Set<string>()
  readonly #missing = new Map<keyof Told, Set<string>>()
  readonly #follow = {
    ports: new Set<string>(),
    portsOfSubnets: new Set<string>(),
    ofNetworks: new Set<string>(),
  }
  #created = 0

  constructor(change: NetworkChange, index: HaveIndex, context: PlanContext) {
    this.#change = change
    this.#index = index
    this.#cloudId = context.cloudId
  }

  write(rows: readonly DesiredRow[]): void {
    const created = rows.filter((row) => !this.#index.get(row))
    for (const row of created) this.#names.set(keyOf(row), { named: `row${this.#names.size}` })
    for (const row of rows) {
      const existing = this.#index.get(row)
      if (existing) this.#update(row, existing)
      else this.#insert(row)
    }
  }

  /** Removes what of the told is no longer wanted. */
  removeRest(): void {
    const { told } = this.#change
    for (const noun of Object.keys(told) as (keyof Told)[])
      for (const id of told[noun]) this.removeOthersOf(ownerOf(noun, id))
    for (const id of told.ports) {
      const uuid = this.#index.get({ table: "Logical_Switch_Port", id })?._uuid
      if (uuid === undefined || (!this.#updated.has(uuid) && !this.#removed.has(uuid))) continue
      // What it allows itself may be another now.
      for (const virtual of this.#index.virtualPortsOf(id)) this.#follow.ports.add(virtual)
    }
    if (this.#isLastGone("networks", "Logical_Switch")) this.removeOthersOf(ownerOf("cloud", "drop"))
    if (this.#change.want.routers.length > 0 || this.#isLastGone("routers", "Logical_Router"))
      this.removeOthersOf(gatewaysOwner)
  }

  /** Those that were not written. */
  removeOthersOf(owner: string): void {
    for (const [uuid, have] of this.#index.ofOwner(owner)) if (!this.#kept.has(uuid)) this.#remove(uuid, have)
  }

  followPort(id: string): void {
    this.#follow.ports.add(id)
  }

  update(operation: Operation, uuid: string): void {
    this.#updated.add(uuid)
    this.#updates.push(operation)
  }

  removeRow(have: HaveRow): void {
    this.#remove(have.row._uuid, have)
  }

  result(): Planned {
    if (this.#missing.size > 0)
      return { missing: Object.fromEntries([...this.#missing].map(([noun, ids]) => [noun, [...ids]])) }
    return {
      operations: [...this.#inserts, ...this.#updates, ...this.#changedListings(), ...this.#deletes],
      report: { created: this.#created, updated: this.#updated.size, removed: this.#removed.size },
      follow: {
        ports: [...this.#follow.ports].filter((id) => !this.#change.told.ports.includes(id)),
        portsOfSubnets: [...this.#follow.portsOfSubnets],
        ofNetworks: [...this.#follow.ofNetworks],
      },
    }
  }

  #insert(row: DesiredRow): void {
    const name = this.#names.get(keyOf(row))
    const columns: Record<string, WriteValue> = { ...row.columns, external_ids: this.#externalIds(row) }
    for (const [column, key] of Object.entries(row.refs ?? {})) columns[column] = this.#pointer(key)
    this.#inserts.push({ op: "insert", table: row.table, row: columns, ...(name && { name: name.named }) })
    this.#created += 1
    for (const place of row.places ?? []) {
      const target = this.#resolve(place)
      if (target !== undefined && name) this.#listing(place, target).added.push(name)
    }
    // Its ports' answers come from the row from now on.
    if (row.owner === ownerOf("subnets", row.id)) this.#follow.portsOfSubnets.add(row.id)
  }

  #update(row: DesiredRow, existing: Row): void {
    const uuid = existing._uuid
    this.#kept.add(uuid)
    const columns: Record<string, WriteValue> = changedColumns(row, existing)
    for (const [column, key] of Object.entries(row.refs ?? {})) {
      const pointer = this.#pointer(key)
      if (!this.#isPointer(existing[column], pointer)) columns[column] = pointer
    }
    const where = byUuid(uuid)
    if (Object.keys(columns).length > 0) {
      this.update({ op: "update", table: row.table, where, row: columns }, uuid)
      if (row.owner === ownerOf("subnets", row.id))
        for (const id of this.#index.portsWithOwnDhcp(row.id)) this.#follow.ports.add(id)
    }
    const mutations = externalIdChanges(mapOf(existing.external_ids), this.#externalIds(row))
    if (mutations.length > 0) this.update({ op: "mutate", table: row.table, where, mutations }, uuid)
    if (row.table === "Logical_Switch" && !hasSame(existing, row, sharedKeys))
      this.#follow.ofNetworks.add(row.id)
    this.#relist(row, uuid)
  }

  /** Into the rows that shall list it, out of those of ours that shall not. */
  #relist(row: DesiredRow, uuid: string): void {
    const now = this.#index.placesOf(uuid)
    const wanted = new Set<string>()
    for (const place of row.places ?? []) {
      const target = this.#resolve(place)
      if (target === undefined) continue
      if (typeof target === "string") wanted.add(`${target} ${place.column}`)
      if (now.some((each) => each.uuid === target && each.column === place.column)) continue
      this.#listing(place, target).added.push(uuid)
      this.#updated.add(uuid)
    }
    for (const place of now) {
      if (wanted.has(`${place.uuid} ${place.column}`) || !this.#index.byUuid(place.uuid)) continue
      this.#listing(place, place.uuid).away.push(uuid)
      this.#updated.add(uuid)
    }
  }

  #remove(uuid: string, { table, id, row }: HaveRow): void {
    if (this.#removed.has(uuid)) return
    this.#removed.add(uuid)
    // ovsdb-server counts the pointers of a row that goes by itself, and keeps what they point at.
    if (Array.isArray(row.ha_chassis_group) && row.ha_chassis_group.length > 0)
      this.#updates.push({ op: "update", table, where: byUuid(uuid), row: { ha_chassis_group: [] } })
    if (managedTables[table].isRoot) this.#deletes.push({ op: "delete", table, where: byUuid(uuid) })
    // A port that pointed at the subnet's row has it no longer; what it gets now is not known here.
    if (table === "DHCP_Options") this.#follow.portsOfSubnets.add(id)
    // The others go with the last row that lists them. Also out of those that would forget a row by themselves:
    // ovsdb-server keeps some of these when it deletes a row and changes the listing one in the same transaction.
    for (const place of this.#index.placesOf(uuid)) {
      const listing = this.#index.byUuid(place.uuid)
      if (listing) this.#listing(place, place.uuid).away.push(uuid)
    }
  }

  #isLastGone(noun: keyof Told, table: DesiredRow["table"]): boolean {
    if (this.#change.want[noun].length > 0) return false
    const gone = [...this.#removed].filter((uuid) => this.#index.byUuid(uuid)?.table === table)
    return this.#index.count(table) <= gone.length
  }

  #changedListings(): Operation[] {
    const operations: Operation[] = []
    for (const { table, target, column, away, added } of this.#listings.values()) {
      if (typeof target === "string" && this.#removed.has(target)) continue
      const mutations: Mutation[] = []
      if (away.length > 0) mutations.push([column, "delete", away])
      if (added.length > 0) mutations.push([column, "insert", added])
      operations.push({ op: "mutate", table, where: byUuid(target), mutations })
    }
    return operations
  }

  #listing({ table, column }: { table: DesiredRow["table"]; column: string }, target: Target): Listing {
    const key = `${typeof target === "string" ? target : target.named} ${column}`
    let listing = this.#listings.get(key)
    if (!listing) {
      listing = { table, target, column, away: [], added: [] }
      this.#listings.set(key, listing)
    }
    return listing
  }

  /** Undefined, and noted as missing, for a row that neither is nor comes. */
  #resolve(key: RowKey): Target | undefined {
    const target = this.#names.get(keyOf(key)) ?? this.#index.get(key)?._uuid
    const noun = nounOf[key.table]
    // What was asked for and is not there is nowhere.
    if (target === undefined && noun && !this.#change.told[noun].includes(key.id)) {
      const ids = this.#missing.get(noun)
      if (ids) ids.add(key.id)
      else this.#missing.set(noun, new Set([key.id]))
    }
    return target
  }

  #pointer(key: RowKey | null): Target[] {
    const target = key === null ? undefined : this.#resolve(key)
    return target === undefined ? [] : [target]
  }

  /** A pointer that somebody else set stays where we want none. */
  #isPointer(now: Value | undefined, pointer: readonly Target[]): boolean {
    const [present] = Array.isArray(now) ? now : []
    const [wanted] = pointer
    if (wanted === undefined) return present === undefined || !this.#index.byUuid(present)
    return present === wanted
  }

  #externalIds(row: DesiredRow): Record<string, string> {
    return { [idKey]: row.id, [cloudKey]: this.#cloudId, [ownerKey]: row.owner, ...row.externalIds }
  }
}

const keyOf = ({ table, id }: RowKey) => `${table} ${id}`

function changedColumns(row: DesiredRow, existing: Row): Columns {
  const update: Record<string, WriteValue> = {}
  for (const [column, value] of Object.entries(row.columns)) {
    const now = existing[column]
    // Columns never hold references to new rows (those are in `refs`), so a written value reads the same.
    if (now === undefined || !sameValue(now, value as Value)) update[column] = value
  }
  return update
}

function externalIdChanges(now: Record<string, Atom>, target: Record<string, string>): Mutation[] {
  const stale = Object.keys(now).filter((key) => key.startsWith("kumoi:") && target[key] !== now[key])
  const missing = Object.entries(target).filter(([key, value]) => now[key] !== value)
  const mutations: Mutation[] = []
  if (stale.length > 0) mutations.push(["external_ids", "deleteKeys", stale])
  if (missing.length > 0) mutations.push(["external_ids", "insert", Object.fromEntries(missing)])
  return mutations
}

function hasSame(existing: Row, row: DesiredRow, keys: readonly string[]): boolean {
  const now = mapOf(existing.external_ids)
  return keys.every((key) => now[key] === row.externalIds?.[key])
}
