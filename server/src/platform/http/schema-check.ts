// Checks of wire bodies by their schemas. Errors name the field, the value and what is wrong, in Nova's form.
import type { TSchema } from "typebox"
import { Fault } from "../fault/fault.ts"
import { fits } from "../schema/compiled.ts"
import { findMistake, type Mistake } from "../schema/mistake.ts"
import { shown, wordsOf } from "../schema/words.ts"
import type { Microversion } from "./microversion.ts"
import { type BodyOf, type BodySchema, schemaFor } from "./versions.ts"

/** Throws `invalid` that names the field, the value and what would be right. */
export function checkSchema(schema: TSchema, value: unknown, what: "body" | "query"): void {
  if (fits(schema, value)) return
  const mistake = findMistake(schema, value)
  const field = mistake?.path.join(".") ?? ""
  throw new Fault("invalid", "request.invalid", describe(mistake, field, what), { detail: { field } })
}

/** For a handler that learns from the body which schema is its own: the body, as what that schema admits. */
export function checkedBody<S extends BodySchema>(
  schema: S,
  version: Microversion,
  body: unknown,
): BodyOf<S> {
  const found = schemaFor(schema, version)
  if (found) checkSchema(found, body, "body")
  return body as BodyOf<S> // the check says so
}

function describe(mistake: Mistake | undefined, field: string, what: "body" | "query"): string {
  if (!mistake) return `Invalid ${what}.`
  const message = wordsOf(mistake)
  if (field === "") return message
  const where = what === "query" ? "query parameters" : "field/attribute"
  return `Invalid input for ${where} ${field.split(".").at(-1)}. Value: ${shown(mistake.value, false)}. ${message}`
}
