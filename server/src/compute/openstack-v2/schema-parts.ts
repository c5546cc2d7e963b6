// Parts that many bodies of this API share.
import type { JsonSchema } from "../../platform/http/wire.ts"

/** Printable, with no space at either end. */
export const name: JsonSchema = {
  type: "string",
  minLength: 1,
  maxLength: 255,
  pattern: "^(?!\\s)[^\\p{C}\\p{Zl}\\p{Zp}]*(?<!\\s)$",
}
export const nameOrNull: JsonSchema = { anyOf: [name, { type: "null" }] }
export const description: JsonSchema = {
  type: ["string", "null"],
  maxLength: 255,
  pattern: "^[^\\p{C}\\p{Zl}\\p{Zp}]*$",
}
/** RFC 1123 label. */
export const hostname: JsonSchema = {
  type: "string",
  minLength: 2,
  maxLength: 63,
  pattern: "^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$",
}
export const fqdn: JsonSchema = { type: "string", minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9._-]*$" }
export const uuid: JsonSchema = { type: "string", format: "uuid" }
export const boolean: JsonSchema = {
  type: ["boolean", "string"],
  enum: [
    true,
    "True",
    "TRUE",
    "true",
    "1",
    "ON",
    "On",
    "on",
    "YES",
    "Yes",
    "yes",
    false,
    "False",
    "FALSE",
    "false",
    "0",
    "OFF",
    "Off",
    "off",
    "NO",
    "No",
    "no",
  ],
}
export const positiveInteger: JsonSchema = {
  type: ["integer", "string"],
  pattern: "^0*[1-9][0-9]*$",
  minimum: 1,
  minLength: 1,
}
export const ipAddress: JsonSchema = {
  type: "string",
  anyOf: [{ format: "ipv4" }, { format: "ipv6" }],
}
export const ipv4: JsonSchema = { type: "string", format: "ipv4" }
export const ipv6: JsonSchema = { type: "string", format: "ipv6" }
export const diskConfig: JsonSchema = { type: "string", enum: ["AUTO", "MANUAL"] }
export const metadata: JsonSchema = {
  type: "object",
  patternProperties: { "^[a-zA-Z0-9_:. -]{1,255}$": { type: "string", maxLength: 255 } },
  additionalProperties: false,
}
export const tag: JsonSchema = { type: "string", minLength: 1, maxLength: 60, pattern: "^[^,/]*$" }
export const base64: JsonSchema = { type: "string", maxLength: 65_535, pattern: "^[A-Za-z0-9+/\\s]*=*\\s*$" }

/** `{ "<key>": { …properties } }` and nothing else. */
export function bodyOf(key: string, properties: JsonSchema, required: readonly string[] = []): JsonSchema {
  return {
    type: "object",
    properties: {
      [key]: { type: "object", properties, required: [...required], additionalProperties: false },
    },
    required: [key],
    additionalProperties: false,
  }
}

/** `{ "<key>": <schema> }` and nothing else. */
export function bodyWith(key: string, schema: JsonSchema): JsonSchema {
  return { type: "object", properties: { [key]: schema }, required: [key], additionalProperties: false }
}

const yes = new Set(["1", "on", "yes", "true"])

/** What `boolean` above admits. */
export function readBoolean(value: boolean | string | undefined): boolean {
  return typeof value === "string" ? yes.has(value.toLowerCase()) : value === true
}
