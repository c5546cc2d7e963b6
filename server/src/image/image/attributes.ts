// The attributes of an image under their public names: who may set them, and what may stand in them.
import { invalid } from "../../platform/fault/fault.ts"
import { publicName } from "../../platform/noun/field.ts"
import { attributeNotChangeable, attributeReadOnly, attributeReserved, limitExceeded } from "../faults.ts"
import { type Image, imageNoun, reservedPrefix, type Visibility, visibilities } from "./image.ts"

const attributes = Object.entries(imageNoun.fields)
  .filter(([key, { abilities }]) => key !== "properties" && !("internal" in abilities))
  .map(([key, field]) => ({ name: publicName(key, field), isChangeable: "update" in field.abilities }))

/** Set by the cloud alone: of the image, and what the wire makes of it. */
const readOnly: ReadonlySet<string> = new Set([
  ...attributes.filter(({ isChangeable }) => !isChangeable).map(({ name }) => name),
  "direct_url",
  "self",
  "file",
  "schema",
  "stores",
])

const reserved = new Set(["location", "deleted", "deleted_at"])

/** Attributes that every image has; all other names are properties. */
const base: ReadonlySet<string> = new Set(
  attributes.filter(({ isChangeable }) => isChangeable).map(({ name }) => name),
)

export function isBaseAttribute(name: string): boolean {
  return base.has(name) || readOnly.has(name)
}

/** Whether users may give an image a property of that name. */
export function isFreeProperty(name: string): boolean {
  return !isBaseAttribute(name) && !isReserved(name)
}

/** Throws when users may not write an attribute of that name. */
export function checkWritable(name: string): void {
  if (readOnly.has(name)) throw attributeReadOnly(name)
  checkNotReserved(name)
}

/** `id` may be chosen at creation, and only then. */
export function checkCreatable(name: string): void {
  if (name !== "id") checkWritable(name)
}

function checkNotReserved(name: string): void {
  if (isReserved(name)) throw attributeReserved(name)
}

function isReserved(name: string): boolean {
  return reserved.has(name) || name.startsWith(reservedPrefix)
}

export const propertyNameMax = 255

export function checkPropertyName(name: string): void {
  if (name.length > propertyNameMax)
    throw invalid(
      name.slice(0, 64),
      `Custom property should not be greater than ${propertyNameMax} characters.`,
    )
  if (name.length === 0) throw invalid("property", "A custom property needs a name.")
}

export function checkCounts(
  image: Pick<Image, "properties" | "tags">,
  limits: { propertyMax: number; tagMax: number },
): void {
  const count = Object.keys(image.properties).length
  if (limits.propertyMax >= 0 && count > limits.propertyMax)
    throw limitExceeded("properties", limits.propertyMax)
  if (limits.tagMax >= 0 && new Set(image.tags).size > limits.tagMax)
    throw limitExceeded("tags", limits.tagMax)
}

const int32Max = 2 ** 31 - 1

function text(name: string, value: unknown): string {
  if (typeof value !== "string") throw invalid(name, `Attribute '${name}' must be a string.`)
  // PostgreSQL keeps no NUL, and nobody means one.
  if (value.includes("\0")) throw invalid(name, `Attribute '${name}' must not contain NUL characters.`)
  return value
}

function amount(name: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value))
    throw invalid(name, `Attribute '${name}' must be an integer.`)
  if (value < 0)
    throw invalid(name, `Invalid value '${value}' for parameter '${name}': Cannot be a negative value`)
  if (value > int32Max)
    throw invalid(name, `'${value}' value out of range, ${name} must not exceed ${int32Max}.`)
  return value
}

function flag(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw invalid(name, `Attribute '${name}' must be true or false.`)
  return value
}

function visibility(value: unknown): Visibility {
  const found = visibilities.find((v) => v === value)
  if (!found) throw invalid("visibility", `Attribute 'visibility' must be one of ${visibilities.join(", ")}.`)
  return found
}

/** Sets one attribute or property of the draft. The wire's schema has checked formats and lengths already. */
export function setAttribute(draft: Image, name: string, value: unknown): void {
  switch (name) {
    case "name":
      draft.name = value === null ? null : text(name, value)
      return
    case "visibility":
      draft.visibility = visibility(value)
      return
    case "disk_format":
      if (draft.status !== "queued" && draft.status !== "importing") throw attributeNotChangeable(name)
      draft.diskFormat = value === null ? null : text(name, value)
      return
    case "container_format":
      if (draft.status !== "queued" && draft.status !== "importing") throw attributeNotChangeable(name)
      draft.containerFormat = value === null ? null : text(name, value)
      return
    case "min_disk":
      draft.minDiskGib = amount(name, value)
      return
    case "min_ram":
      draft.minRamMib = amount(name, value)
      return
    case "protected":
      draft.isProtected = flag(name, value)
      return
    case "os_hidden":
      draft.isHidden = flag(name, value)
      return
    case "owner":
      draft.projectId = value === null ? null : text(name, value)
      return
    case "tags":
      draft.tags = tags(value)
      return
    default:
      checkPropertyName(name)
      draft.properties = { ...draft.properties, [text("name", name)]: text(name, value) }
  }
}

function tags(value: unknown): string[] {
  if (!Array.isArray(value)) throw invalid("tags", "Attribute 'tags' must be a list of strings.")
  return [...new Set(value.map((tag: unknown) => text("tags", tag)))]
}
