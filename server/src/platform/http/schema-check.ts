// JSON Schema checks of wire bodies, compiled at first use. Errors name the field, the value and what is wrong,
// in Nova's form and jsonschema's words.
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
  const message = wordsOf(error)
  const at = fieldOf(error)
  if (at === "") return message
  const where = what === "query" ? "query parameters" : "field/attribute"
  return `Invalid input for ${where} ${at.split(".").at(-1)}. Value: ${shown(error.data, false)}. ${message}`
}

const valueLengthMost = 120

/** A client's value in a refusal: cut when it is long. */
export function cutValue(text: string): string {
  return text.length > valueLengthMost ? `${text.slice(0, valueLengthMost)}…` : text
}

/** As Python prints it, which is what people look for; cut when it is long. */
function shown(value: unknown, isQuoted = true): string {
  return cutValue(pythonText(value, isQuoted))
}

function pythonText(value: unknown, isQuoted: boolean): string {
  if (typeof value === "string") return isQuoted ? pythonString(value) : value
  if (value === null || value === undefined) return "None"
  if (typeof value === "boolean") return value ? "True" : "False"
  if (Array.isArray(value)) return `[${value.map((each) => pythonText(each, true)).join(", ")}]`
  if (typeof value !== "object") return String(value)
  const entries = Object.entries(value).map(
    ([key, each]) => `${pythonString(key)}: ${pythonText(each, true)}`,
  )
  return `{${entries.join(", ")}}`
}

function pythonString(text: string): string {
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
  return escaped.includes("'") && !escaped.includes('"')
    ? `"${escaped}"`
    : `'${escaped.replaceAll("'", "\\'")}'`
}

/** What is wrong in the words of Python's jsonschema, which the services of this API show and people search for. */
function wordsOf({ keyword, params, data, message }: ErrorObject): string {
  const value = shown(data)
  const limit = String(params.limit)
  switch (keyword) {
    case "additionalProperties":
      return `Additional properties are not allowed ('${String(params.additionalProperty)}' was unexpected)`
    case "required":
      return `'${String(params.missingProperty)}' is a required property`
    case "type":
      return `${value} is not of type ${[params.type]
        .flat()
        .map((each) => `'${String(each)}'`)
        .join(", ")}`
    case "enum":
      return `${value} is not one of ${shown(params.allowedValues)}`
    case "const":
      return `${shown(params.allowedValue)} was expected`
    case "pattern":
      return `${value} does not match ${pythonString(String(params.pattern))}`
    case "format":
      return `${value} is not a '${String(params.format)}'`
    case "maxLength":
    case "maxItems":
      return `${value} is too long (at most ${limit})`
    case "minLength":
    case "minItems":
      return `${value} is too short (at least ${limit})`
    case "maximum":
      return `${value} is greater than the maximum of ${limit}`
    case "minimum":
      return `${value} is less than the minimum of ${limit}`
    case "maxProperties":
      return `${value} has too many properties (at most ${limit})`
    case "minProperties":
      return `${value} does not have enough properties (at least ${limit})`
    case "uniqueItems":
      return `${value} has non-unique elements`
    case "anyOf":
    case "oneOf":
      return `${value} is not valid under any of the given schemas`
    default:
      return `${value} ${message ?? "is not valid"}`
  }
}
