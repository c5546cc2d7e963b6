// The two patch formats of the image API: v2.1 is JSON Patch with add, replace and remove; v2.0 an older draft of it.

import type { Static } from "typebox"
import { invalid } from "../../platform/fault/fault.ts"
import { checkSchema } from "../../platform/http/schema-check.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import { object } from "../../platform/schema/make.ts"
import type { ImageChange, LocationChange } from "../index.ts"
import { mediaTypeNotTaken, patchMediaTypes } from "./faults.ts"
import { imageProperties, location } from "./image-schema.ts"

const operations = ["add", "remove", "replace"] as const
type Op = (typeof operations)[number]

/** Changes of attributes, or of the list of locations: both at once would be done by halves. */
export type ImagePatch =
  | { kind: "attributes"; changes: ImageChange[] }
  | { kind: "locations"; changes: LocationChange[] }

export function readPatch(req: WireRequest): ImagePatch {
  const given = req.headers["content-type"]
  const type = (Array.isArray(given) ? given[0] : given)?.split(";")[0]?.trim().toLowerCase() ?? ""
  if (!patchMediaTypes.includes(type)) throw mediaTypeNotTaken(type, patchMediaTypes)
  const isOldDraft = type.includes("v2.0")
  const { body } = req
  if (body === undefined || body === null) throw invalid("body", "Body expected in request.")
  if (!Array.isArray(body)) throw invalid("body", "Request body must be a JSON array of operation objects.")
  const read = body.map((change: unknown) => readChange(change, isOldDraft))
  const locations = read.flatMap((change) => ("location" in change ? [change.location] : []))
  if (locations.length === 0) {
    return {
      kind: "attributes",
      changes: read.flatMap((change) => ("attribute" in change ? [change.attribute] : [])),
    }
  }
  if (locations.length < read.length)
    throw invalid("path", "Locations are changed by a request of their own, without other attributes.")
  return { kind: "locations", changes: locations }
}

function readChange(
  change: unknown,
  isOldDraft: boolean,
): { attribute: ImageChange } | { location: LocationChange } {
  if (typeof change !== "object" || change === null || Array.isArray(change))
    throw invalid("body", "Operations must be JSON objects.")
  const raw: Readonly<Record<string, unknown>> = { ...change }
  const op = isOldDraft ? oldOperation(raw) : newOperation(raw)
  const pointer = isOldDraft ? raw[op] : raw.path
  if (pointer === undefined) throw invalid("path", "Unable to find 'path' in JSON Schema change")
  const path = readPointer(pointer)
  const name = checkPath(op, path)
  if (op !== "remove" && !Object.hasOwn(raw, "value"))
    throw invalid("value", `Operation "${op}" requires a member named "value".`)
  if (name === "locations") return { location: readLocationChange(op, path[1], raw.value) }
  if (op === "remove") return { attribute: { op, name } }
  checkValue(name, raw.value)
  return { attribute: { op, name, value: raw.value, ...(isOldDraft ? { isStrictAdd: true } : {}) } }
}

function readLocationChange(op: Op, position: string | undefined, value: unknown): LocationChange {
  if (op === "replace") {
    if (!Array.isArray(value)) throw invalid("locations", "Attribute 'locations' must be a list.")
    return { op, locations: value.map(readLocation) }
  }
  const isNumber = /^\d{1,6}$/.test(position ?? "")
  if (!isNumber && position !== "-") {
    const verb = op === "add" ? "adding" : "removing"
    throw invalid("path", `Invalid position for ${verb} a location.`)
  }
  const at = isNumber ? Number(position) : null
  return op === "add" ? { op, at, location: readLocation(value) } : { op, at }
}

function readLocation(value: unknown) {
  checkSchema(location, value, "body")
  // As was checked.
  const { url, metadata, validation_data: said } = value as Static<typeof location>
  const claim = said
    ? {
        osHashAlgo: said.os_hash_algo,
        osHashValue: said.os_hash_value,
        ...(said.checksum === undefined ? {} : { checksum: said.checksum }),
      }
    : null
  return { url, metadata, claim }
}

function newOperation(raw: Readonly<Record<string, unknown>>): Op {
  const words = operations.join(", ")
  if (raw.op === undefined || raw.op === null)
    throw invalid(
      "op",
      `Unable to find \`op\` in JSON Schema change. It must be one of the following: ${words}.`,
    )
  const op = operations.find((o) => o === raw.op)
  if (!op)
    throw invalid(
      "op",
      `Invalid operation: \`${String(raw.op)}\`. It must be one of the following: ${words}.`,
    )
  return op
}

function oldOperation(raw: Readonly<Record<string, unknown>>): Op {
  const found = operations.filter((o) => Object.hasOwn(raw, o))
  const op = found[0]
  if (!op || found.length > 1) {
    throw invalid(
      "op",
      'Operation objects must contain exactly one member named "add", "remove", or "replace".',
    )
  }
  return op
}

/** The parts of a JSON pointer (RFC 6901), of which only plain ones are taken. */
export function readPointer(pointer: unknown): string[] {
  if (typeof pointer !== "string" || !pointer.startsWith("/"))
    throw invalid("path", `Pointer \`${String(pointer)}\` does not start with "/".`)
  if (/\/\s*\//.test(pointer.slice(1)) || pointer.startsWith("//"))
    throw invalid("path", `Pointer \`${pointer}\` contains adjacent "/".`)
  if (pointer.length > 1 && pointer.endsWith("/"))
    throw invalid("path", `Pointer \`${pointer}\` end with "/".`)
  if (/~[^01]/.test(pointer) || pointer.endsWith("~"))
    throw invalid("path", `Pointer \`${pointer}\` contains "~" not part of a recognized escape sequence.`)
  return pointer
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~").trim())
}

function checkPath(op: Op, path: readonly string[]): string {
  const [name = "", ...rest] = path
  const depth = name === "locations" && op !== "replace" ? 1 : 0
  if (rest.length !== depth)
    throw invalid("path", `Invalid JSON pointer for this resource: '/${path.join("/")}'`)
  return name
}

function checkValue(name: string, value: unknown): void {
  if (!Object.hasOwn(imageProperties, name)) {
    if (typeof value === "string") return
    throw invalid(name, `Invalid value for property '${name}': it must be a string.`)
  }
  // Whether it may be written at all is said elsewhere.
  if (!readOnlyProperties.has(name)) checkSchema(partialImage, { [name]: value }, "body")
}

const partialImage = object(imageProperties)
const readOnlyProperties = new Set(
  Object.entries(imageProperties).flatMap(([name, schema]) => ("readOnly" in schema ? [name] : [])),
)
