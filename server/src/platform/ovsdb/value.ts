// Values as the rest of the program sees them, and their form on the wire (RFC 7047, section 5.1). With the
// schema at hand a set is always an array and a map always an object, also when it has one member or none.
import type { AtomType, ColumnType } from "./schema.ts"

export type Atom = string | number | boolean

/** Read values. References to rows are their uuids as text. */
export type Value = Atom | readonly Atom[] | Readonly<Record<string, Atom>>

/** A row inserted in the same transaction, by the name that its insert gave it. */
export interface NamedRow {
  named: string
}

export type WriteAtom = Atom | NamedRow
export type WriteValue = WriteAtom | readonly WriteAtom[] | Readonly<Record<string, WriteAtom>>

export interface Row {
  readonly _uuid: string
  readonly [column: string]: Value
}

export function decodeValue(type: ColumnType, wire: unknown): Value {
  if (type.kind === "map") {
    const map: Record<string, Atom> = {}
    for (const pair of pairs(wire)) map[String(decodeAtom(pair[0]))] = decodeAtom(pair[1])
    return map
  }
  if (type.kind === "set") return members(wire).map(decodeAtom)
  const single = members(wire)
  if (single.length !== 1) throw new Error("ovsdb: a scalar column does not hold one value")
  return decodeAtom(single[0])
}

/** The members of a set; one alone stands bare on the wire. */
export function members(wire: unknown): unknown[] {
  if (Array.isArray(wire) && wire[0] === "set" && Array.isArray(wire[1])) return wire[1]
  return [wire]
}

export function pairs(wire: unknown): [unknown, unknown][] {
  if (Array.isArray(wire) && wire[0] === "map" && Array.isArray(wire[1])) return wire[1]
  throw new Error(`ovsdb: expected a map, got ${JSON.stringify(wire)?.slice(0, 100)}`)
}

export function decodeAtom(wire: unknown): Atom {
  if (typeof wire === "string" || typeof wire === "number" || typeof wire === "boolean") return wire
  if (Array.isArray(wire) && (wire[0] === "uuid" || wire[0] === "named-uuid") && typeof wire[1] === "string")
    return wire[1]
  throw new Error(`ovsdb: expected an atom, got ${JSON.stringify(wire)?.slice(0, 100)}`)
}

export function encodeValue(type: ColumnType, value: WriteValue): unknown {
  if (type.kind === "map") {
    if (typeof value !== "object" || Array.isArray(value) || isNamed(value))
      throw new Error("ovsdb: a map column takes an object")
    const valueType = type.value ?? "string"
    const entries = Object.entries(value as Record<string, WriteAtom>)
    return ["map", entries.map(([key, v]) => [encodeKey(type.key, key), encodeAtom(valueType, v)])]
  }
  if (type.kind === "set") {
    if (!Array.isArray(value)) throw new Error("ovsdb: a set column takes an array")
    return ["set", value.map((member: WriteAtom) => encodeAtom(type.key, member))]
  }
  if (Array.isArray(value) || (typeof value === "object" && !isNamed(value)))
    throw new Error("ovsdb: a scalar column takes one value")
  // Narrowed above: neither array nor map is left.
  return encodeAtom(type.key, value as WriteAtom)
}

function encodeKey(type: AtomType, key: string): unknown {
  if (type === "integer" || type === "real") return Number(key)
  if (type === "boolean") return key === "true"
  return encodeAtom(type, key)
}

export function encodeAtom(type: AtomType, atom: WriteAtom): unknown {
  if (typeof atom === "object") {
    if (type !== "uuid") throw new Error(`ovsdb: a row reference does not fit a column of type ${type}`)
    return ["named-uuid", atom.named]
  }
  const fits =
    type === "integer"
      ? Number.isSafeInteger(atom)
      : type === "real"
        ? typeof atom === "number"
        : type === "boolean"
          ? typeof atom === "boolean"
          : typeof atom === "string"
  if (!fits) throw new Error(`ovsdb: ${JSON.stringify(atom)} is not of type ${type}`)
  return type === "uuid" ? ["uuid", atom] : atom
}

export function isNamed(value: unknown): value is NamedRow {
  return typeof value === "object" && value !== null && typeof (value as NamedRow).named === "string"
}

/** Equality of two read values; the order of a set and of a map's keys does not count. */
export function sameValue(a: Value, b: Value): boolean {
  if (typeof a !== "object" || typeof b !== "object") return a === b
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    const inB = new Set<Atom>(b)
    return a.every((member) => inB.has(member))
  }
  const mapA = a as Record<string, Atom>
  const mapB = b as Record<string, Atom>
  const keys = Object.keys(mapA)
  return keys.length === Object.keys(mapB).length && keys.every((key) => mapA[key] === mapB[key])
}
