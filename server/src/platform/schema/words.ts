// How a mistake and a value are shown to people.
import type { Mistake } from "./mistake.ts"

const valueLengthMost = 120

/** A client's value in a refusal: cut when it is long. */
export function cutValue(text: string): string {
  return text.length > valueLengthMost ? `${text.slice(0, valueLengthMost)}…` : text
}

const messageLengthMost = 2_000
/** A value that was cut already has quotes and a full stop about it. */
const aroundMost = 8
const longWord = new RegExp(`\\S{${valueLengthMost + aroundMost + 1},}`, "g")

/** A sentence without the long words that somebody put into it, and not long itself. */
export function shortMessage(text: string): string {
  if (text.length <= valueLengthMost) return text
  const short = text.replaceAll(longWord, cutValue)
  return short.length > messageLengthMost ? `${short.slice(0, messageLengthMost)}…` : short
}

/** As Python prints it, which is what people look for; cut when it is long. */
export function shown(value: unknown, isQuoted = true): string {
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
export function wordsOf({ keyword, wanted, value: given, name }: Mistake): string {
  const value = shown(given)
  switch (keyword) {
    case "additionalProperties":
      return `Additional properties are not allowed ('${name}' was unexpected)`
    case "required":
      return `'${name}' is a required property`
    case "type":
      return `${value} is not of type ${[wanted]
        .flat()
        .map((each) => `'${String(each)}'`)
        .join(", ")}`
    case "enum":
      return `${value} is not one of ${shown(wanted)}`
    case "const":
      return `${shown(wanted)} was expected`
    case "pattern":
      return `${value} does not match ${pythonString(String(wanted))}`
    case "format":
      return `${value} is not a '${String(wanted)}'`
    case "maxLength":
    case "maxItems":
      return `${value} is too long (at most ${String(wanted)})`
    case "minLength":
    case "minItems":
      return `${value} is too short (at least ${String(wanted)})`
    case "maximum":
      return `${value} is greater than the maximum of ${String(wanted)}`
    case "minimum":
      return `${value} is less than the minimum of ${String(wanted)}`
    case "exclusiveMaximum":
      return `${value} must be < ${String(wanted)}`
    case "exclusiveMinimum":
      return `${value} must be > ${String(wanted)}`
    case "multipleOf":
      return `${value} must be multiple of ${String(wanted)}`
    case "maxProperties":
      return `${value} has too many properties (at most ${String(wanted)})`
    case "minProperties":
      return `${value} does not have enough properties (at least ${String(wanted)})`
    case "uniqueItems":
      return `${value} has non-unique elements`
    case "anyOf":
    case "oneOf":
      return `${value} is not valid under any of the given schemas`
    default:
      return `${value} is not valid`
  }
}
