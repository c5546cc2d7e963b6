// Parts of bodies that this wire shares.
import { type TProperties, Type } from "typebox"
import { anyObject, keyed, object, typed } from "../../platform/schema/make.ts"

const nameForm = { minLength: 1, maxLength: 255, pattern: "[\\S]+" }
const idForm = { minLength: 1, maxLength: 64, pattern: "^[a-zA-Z0-9-]+$" }

export const name = Type.String(nameForm)
/** Projects and domains have shorter ones. */
export const placeName = Type.String({ ...nameForm, maxLength: 64 })
export const text = Type.String()
export const textOrNull = typed(["string", "null"])
export const description = textOrNull
export const idString = Type.String(idForm)
export const nullableId = typed(["string", "null"], idForm)
/** Of what is kept elsewhere, or was made by others. */
export const looseId = Type.String({ minLength: 1, maxLength: 64 })
export const boolean = typed(["boolean", "string", "null"], {
  enum: [
    ...[true, "True", "TRUE", "true", false, "False", "FALSE", "false", "", "1", "0", "y", "Y", "n", "N"],
    ...["on", "ON", "off", "OFF", "yes", "no", null],
  ],
})
export const strictBoolean = Type.Boolean()
export const options = anyObject
export const tag = Type.String({ minLength: 1, maxLength: 255, pattern: "^[^,/]*$" })
export const tags = Type.Array(tag, { maxItems: 80, uniqueItems: true })
/** For what is named by its id or by its name. */
export const idOrName = { anyOf: [{ required: ["id"] }, { required: ["name"] }] }

/** `{<member>: {…}}`; attributes beside the known ones are kept as they are. */
export function member<
  K extends string,
  P extends TProperties,
  const R extends readonly (keyof P & string)[] = [],
>(key: K, properties: P, options: { required?: R; minProperties?: number; isClosed?: boolean } = {}) {
  const { required, minProperties, isClosed } = options
  const limits = {
    ...(minProperties ? { minProperties } : {}),
    ...(isClosed ? { additionalProperties: false } : {}),
  }
  return keyed(key, object(properties, required, limits))
}
