// Our rows of the northbound database, kept up with the replica and found by what a change asks: by key, by the thing
// that they belong to, by the rows that list them. So a change looks at its own rows only, however many there are.
import type { Atom, Row, RowChange } from "../../../platform/ovsdb/index.ts"
import {
  cloudKey,
  idKey,
  managedTables,
  namesKey,
  ownerKey,
  ownerOf,
  type RowKey,
  type TableName,
  tableNames,
} from "./row.ts"

/** A row, and the column of it that lists another. */
export interface Place {
  table: TableName
  column: string
  uuid: string
}

export interface HaveRow {
  table: TableName
  id: string
  row: Row
}

const isOurTable = (table: string): table is TableName => table in managedTables
const none: ReadonlyMap<string, HaveRow> = new Map()

export class HaveIndex {
  readonly #cloudId: string
  readonly #byKey = new Map<string, Map<string, Row>>(tableNames.map((table) => [table, new Map()]))
  readonly #byUuid = new Map<string, HaveRow>()
  readonly #byOwner = new Map<string, Map<string, HaveRow>>()
  /** Of rows that are listed, ours or not, by their uuid. */
  readonly #places = new Map<Atom, Place[]>()
  /** By network and name: the ports that have it. */
  readonly #claims = new Map<string, Map<string, Set<string>>>()
  /** By subnet: the ports that have DHCP rows of their own for it. */
  readonly #ownDhcp = new Map<string, Set<string>>()
  /** By parent: virtual ports. */
  readonly #virtual = new Map<string, Set<string>>()

  constructor(cloudId: string) {
    this.#cloudId = cloudId
  }

  get({ table, id }: RowKey): Row | undefined {
    return this.#byKey.get(table)?.get(id)
  }

  count(table: TableName): number {
    return this.#byKey.get(table)?.size ?? 0
  }

  /** Undefined for a row that is not ours. */
  byUuid(uuid: Atom): HaveRow | undefined {
    return this.#byUuid.get(String(uuid))
  }

  /** By uuid. */
  ofOwner(owner: string): ReadonlyMap<string, HaveRow> {
    return this.#byOwner.get(owner) ?? none
  }

  owners(): Iterable<string> {
    return this.#byOwner.keys()
  }

  placesOf(uuid: Atom): readonly Place[] {
    return this.#places.get(uuid) ?? []
  }

  portsNamed(networkId: string, name: string): ReadonlySet<string> {
    return this.#claims.get(networkId)?.get(name) ?? new Set()
  }

  portsWithOwnDhcp(subnetId: string): Iterable<string> {
    return this.#ownDhcp.get(subnetId) ?? []
  }

  virtualPortsOf(parentId: string): Iterable<string> {
    return this.#virtual.get(parentId) ?? []
  }

  apply(changes: readonly RowChange[]): void {
    for (const { table, uuid, before, after, members } of changes) {
      if (!isOurTable(table)) continue
      if (before) this.#remove(table, before)
      if (after) this.#add(table, after)
      for (const [column, { added, removed }] of Object.entries(members)) {
        for (const child of removed) this.#unlist(child, { table, column, uuid })
        for (const child of added) this.#list(child, { table, column, uuid })
      }
    }
  }

  #add(table: TableName, row: Row): void {
    const ids = mapOf(row.external_ids)
    if (ids[idKey] === undefined || ids[cloudKey] !== this.#cloudId) return
    const id = String(ids[idKey])
    const have = { table, id, row }
    this.#byUuid.set(row._uuid, have)
    add(this.#byOwner, ownerIn(row), row._uuid, have)
    // Of two with the same key (written by two of us at once) the first by uuid stays.
    const other = this.get(have)
    if (!other || row._uuid < other._uuid) this.#byKey.get(table)?.set(id, row)
    for (const [map, key, member] of this.#facets(have)) addTo(map, key, member)
  }

  #remove(table: TableName, row: Row): void {
    const have = this.#byUuid.get(row._uuid)
    if (!have) return
    this.#byUuid.delete(row._uuid)
    const owner = ownerIn(row)
    const owned = this.#byOwner.get(owner)
    owned?.delete(row._uuid)
    if (owned?.size === 0) this.#byOwner.delete(owner)
    for (const [map, key, member] of this.#facets(have)) removeFrom(map, key, member)
    if (this.get(have)?._uuid !== row._uuid) return
    this.#byKey.get(table)?.delete(have.id)
    // The second of two with the same key, if there was one: it belongs to the same thing.
    for (const twin of owned?.values() ?? [])
      if (twin.table === table && twin.id === have.id) this.#byKey.get(table)?.set(have.id, twin.row)
  }

  *#facets({ table, id, row }: HaveRow): Generator<[Map<string, Set<string>>, string, string]> {
    if (table === "DHCP_Options") {
      const [subnetId, portId] = ownDhcpId(id)
      if (portId !== undefined) yield [this.#ownDhcp, subnetId, portId]
    }
    if (table !== "Logical_Switch_Port") return
    for (const parent of String(mapOf(row.options)["virtual-parents"] ?? "").split(","))
      if (parent !== "") yield [this.#virtual, parent, id]
    const [networkId, ...names] = namesOf(row)
    if (networkId === undefined) return
    let claims = this.#claims.get(networkId)
    if (!claims) {
      claims = new Map()
      this.#claims.set(networkId, claims)
    }
    for (const name of names) yield [claims, name, id]
  }

  #list(child: Atom, place: Place): void {
    const places = this.#places.get(child)
    if (places) places.push(place)
    else this.#places.set(child, [place])
  }

  #unlist(child: Atom, { uuid, column }: Place): void {
    const places = this.#places.get(child)?.filter((each) => each.uuid !== uuid || each.column !== column)
    if (places && places.length > 0) this.#places.set(child, places)
    else this.#places.delete(child)
  }
}

/** A row of an earlier program says not whose it is: until it does, of a network that is not there. */
function ownerIn(row: Row): string {
  return String(mapOf(row.external_ids)[ownerKey] ?? ownerOf("networks", row._uuid))
}

/** The network's id, and the names that the port has in it. */
export function namesOf(row: Row): string[] {
  return String(mapOf(row.external_ids)[namesKey] ?? "")
    .split(" ")
    .filter((part) => part !== "")
}

const uuidLength = 36

/** Of a DHCP row's id: the subnet, and the port that the row is for alone. */
function ownDhcpId(id: string): [subnetId: string, portId: string | undefined] {
  return [id.slice(0, uuidLength), id.length > uuidLength ? id.slice(uuidLength + 1) : undefined]
}

export function mapOf(value: Row[string] | undefined): Record<string, Atom> {
  // Of a map column; the schema said so when it was read.
  return typeof value === "object" && !Array.isArray(value) ? (value as Record<string, Atom>) : {}
}

function add<V>(map: Map<string, Map<string, V>>, key: string, name: string, value: V): void {
  const inner = map.get(key)
  if (inner) inner.set(name, value)
  else map.set(key, new Map([[name, value]]))
}

function addTo(map: Map<string, Set<string>>, key: string, member: string): void {
  const set = map.get(key)
  if (set) set.add(member)
  else map.set(key, new Set([member]))
}

function removeFrom(map: Map<string, Set<string>>, key: string, member: string): void {
  const set = map.get(key)
  set?.delete(member)
  if (set?.size === 0) map.delete(key)
}
