// Query parameters of the placement API, with its own small languages: `VCPU:2,DISK_GB:10`, `in:A,B`, `!A`.
import { type Fault, invalid } from "../../platform/fault/fault.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { queryAll, queryText } from "../../platform/http/query.ts"
import type { JsonSchema, WireRequest } from "../../platform/http/wire.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { many, querySchema } from "../../platform/noun/query-schema.ts"

export const one = (req: WireRequest, name: string) => queryText(req.query, name)

function bad(name: string, message: string): Fault {
  return invalid(name, `Invalid query string parameters: ${message}`)
}

/** Of some parameters that came twice the first counts. */
export const first = (req: WireRequest, name: string) => queryAll(req.query, name)[0]

/** A parameter, and the microversion that has it first. */
export interface Parameter {
  name: string
  from: string
  /** Default: any text. */
  schema?: JsonSchema
}

/** The names that the request's microversion has. */
export function knownAt(req: WireRequest, parameters: readonly Parameter[]): string[] {
  return parameters.filter(({ from }) => atLeast(req.version, from)).map(({ name }) => name)
}

/** For documents. */
export function toldQuery(parameters: readonly Parameter[]): { query: JsonSchema } {
  return {
    query: querySchema(
      Object.fromEntries(
        parameters.map(({ name, from, schema = { type: "string" } }) => [
          name,
          { ...schema, ...(from === "1.0" ? {} : { description: `From ${from} on.` }) },
        ]),
      ),
    ),
  }
}

export const uuidText: JsonSchema = { type: "string", format: "uuid" }
export const texts = many({ type: "string" })

export function checkQuery(
  req: WireRequest,
  known: readonly string[],
  patterns: readonly RegExp[] = [],
): void {
  for (const name of Object.keys(req.query)) {
    if (known.includes(name) || patterns.some((pattern) => pattern.test(name))) continue
    throw bad(name, `Additional properties are not allowed ('${name}' was unexpected)`)
  }
}

export function readUuid(req: WireRequest, name: string): string | undefined {
  const value = one(req, name)
  if (value !== undefined && !isUuid(value))
    throw bad(name, `Expected '${name}' parameter to be a valid UUID. Got: ${value}`)
  return value
}

export function readResources(text: string): Record<string, number> {
  const form = "Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024."
  if (text.trim() === "")
    throw invalid("resources", `Badly formed resources parameter. ${form} Got: empty string.`)
  const resources: Record<string, number> = {}
  for (const part of text.split(",")) {
    const [name, amountText, rest] = part.split(":")
    if (name === undefined || amountText === undefined || rest !== undefined)
      throw invalid("resources", `Badly formed resources parameter. ${form} Got: ${part}.`)
    const amount = Number(amountText)
    if (!/^\s*[+-]?\d+\s*$/.test(amountText) || !Number.isSafeInteger(amount)) {
      const message = `Requested resource ${name} expected positive integer amount. Got: ${amountText}.`
      throw invalid("resources", message)
    }
    if (amount < 1)
      throw invalid("resources", `Requested resource ${name} requires amount >= 1. Got: ${amount}.`)
    resources[name] = amount
  }
  return resources
}

export interface TraitQuery {
  /** One of each list. */
  required: string[][]
  forbidden: string[]
}

export function readTraits(req: WireRequest, name: string): TraitQuery {
  const all = queryAll(req.query, name)
  const query: TraitQuery = { required: [], forbidden: [] }
  for (const value of atLeast(req.version, "1.39") ? all : all.slice(-1)) {
    const { required, forbidden } = readTraitValue(req, name, value)
    query.required.push(...required)
    query.forbidden.push(...forbidden)
  }
  return query
}

function readTraitValue(req: WireRequest, name: string, value: string): TraitQuery {
  const isAny = value.startsWith("in:")
  const traits = (isAny ? value.slice(3) : value).split(",").map((trait) => trait.trim())
  const forbidden = traits.filter((trait) => trait.startsWith("!")).map((trait) => trait.replace(/^!+/, ""))
  const mayForbid = atLeast(req.version, "1.22")
  const form = `HW_CPU_X86_VMX,${mayForbid ? "!" : ""}CUSTOM_MAGIC`
  if (isAny && !atLeast(req.version, "1.39")) {
    const message = `The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since microversion 1.39. Got: ${value}`
    throw bad(name, message)
  }
  if ([...traits, ...forbidden].some((trait) => trait === "")) {
    const example = isAny ? "in:HW_CPU_X86_VMX,CUSTOM_MAGIC" : form
    throw bad(
      name,
      `Expected 'required' parameter value of the form: ${example}. Got an empty trait in: ${value}`,
    )
  }
  if (isAny && forbidden.length > 0) {
    const message = `The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' does not support forbidden traits. Got: ${value}`
    throw bad(name, message)
  }
  if (isAny) return { required: [traits], forbidden: [] }
  if (forbidden.length > 0 && !mayForbid)
    throw bad(name, `Expected 'required' parameter value of the form: ${form}. Got: ${value}`)
  return { required: traits.filter((trait) => !trait.startsWith("!")).map((trait) => [trait]), forbidden }
}

export interface AggregateQuery {
  memberOf: string[][]
  notMemberOf: string[]
}

export function readMemberOf(req: WireRequest, name: string): AggregateQuery {
  const values = queryAll(req.query, name)
  if (values.length > 1 && !atLeast(req.version, "1.24"))
    throw invalid(name, `Multiple ${name} parameters are not supported`)
  const query: AggregateQuery = { memberOf: [], notMemberOf: [] }
  for (const value of values) {
    const [, not, list, ids = ""] = /^(!)?(in:)?(.*)$/.exec(value) ?? []
    if (ids.includes(",") && !list) {
      throw invalid(
        name,
        `Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid ` +
          `microversion. Got: ${value}`,
      )
    }
    const aggregates = list ? ids.split(",") : [ids]
    const wrong = aggregates.find((id) => !isUuid(id))
    if (wrong !== undefined)
      throw bad(name, `Expected 'member_of' parameter to contain valid UUID(s). Got: ${wrong}`)
    if (not && !atLeast(req.version, "1.32"))
      throw invalid(name, `Forbidden ${name} parameters are not supported in the specified microversion`)
    if (not) query.notMemberOf.push(...aggregates)
    else query.memberOf.push(aggregates)
  }
  return query
}
