// JSON Schema checks of wire bodies, compiled at first use. Errors name the field and the value, in Nova's words.
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv"
import addFormats from "ajv-formats"
import { Fault } from "../fault/fault.ts"
import { compareMicroversions, type Microversion, parseMicroversion } from "./microversion.ts"
import type { BodySchema, JsonSchema } from "./wire.ts"

const ajv = new Ajv({
  strict: false,
  allErrors: false,
  coerceTypes: false,
  verbose: true,
  allowUnionTypes: true,
  ownProperties: true,
})
// The default export of a CommonJS module arrives as a namespace under type stripping.
const withFormats = addFormats as unknown as (ajv: Ajv) => void
withFormats(ajv)

const compiled = new WeakMap<JsonSchema, ValidateFunction>()

function validatorOf(schema: JsonSchema): ValidateFunction {
  let validate = compiled.get(schema)
  if (!validate) {
    validate = ajv.compile(schema)
    compiled.set(schema, validate)
  }
  return validate
}

export function schemaFor(body: BodySchema, version: Microversion): JsonSchema | undefined {
  if (!Array.isArray(body)) return body as JsonSchema
  let found: JsonSchema | undefined
  for (const { from, schema } of body as readonly { from: string; schema: JsonSchema }[]) {
    const start = parseMicroversion(from)
    if (start && compareMicroversions(version, start) >= 0) found = schema
  }
  return found
}

/** Throws `invalid` that names the field, the value and what would be right. */
export function checkSchema(schema: JsonSchema, value: unknown, what: "body" | "query"): void {
  const validate = validatorOf(schema)
  if (validate(value)) return
  const error = mostTelling(validate.errors ?? [])
  throw new Fault("invalid", "request.invalid", describe(error, what), { detail: { field: fieldOf(error) } })
}

function mostTelling(errors: readonly ErrorObject[]): ErrorObject | undefined {
  // The last error is `anyOf` itself; a deeper one says more.
  return [...errors].sort((a, b) => b.instancePath.length - a.instancePath.length)[0]
}

function fieldOf(error: ErrorObject | undefined): string {
  return error?.instancePath.replace(/^\//, "").replaceAll("/", ".") ?? ""
}

function describe(error: ErrorObject | undefined, what: "body" | "query"): string {
  if (!error) return `Invalid ${what}.`
  const at = fieldOf(error)
  const where = at.split(".").at(-1) ?? ""
  if (error.keyword === "additionalProperties") {
    const name = String(error.params.additionalProperty)
    return `Additional properties are not allowed ('${name}' was unexpected${at ? ` in ${at}` : ""}).`
  }
  if (error.keyword === "required") {
    return `'${String(error.params.missingProperty)}' is a required property${at ? ` of ${at}` : ""}.`
  }
  const value = JSON.stringify(error.data)?.slice(0, 120)
  const allowed = error.keyword === "enum" ? ` ${JSON.stringify(error.params.allowedValues)}` : ""
  return `Invalid input for ${where ? `field/attribute ${where}` : `the ${what}`}. Value: ${value}. It ${error.message}${allowed}.`
}
