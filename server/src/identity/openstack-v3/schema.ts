// JSON Schemas that the bodies of this wire share.
import type { JsonSchema } from "../../platform/http/wire.ts"

export const name = { type: "string", minLength: 1, maxLength: 255, pattern: "[\\S]+" }
/** Projects and domains have shorter ones. */
export const placeName = { ...name, maxLength: 64 }
export const description = { type: ["string", "null"] }
export const idString = { type: "string", minLength: 1, maxLength: 64, pattern: "^[a-zA-Z0-9-]+$" }
export const nullableId = {
  type: ["string", "null"],
  minLength: 1,
  maxLength: 64,
  pattern: "^[a-zA-Z0-9-]+$",
}
export const boolean = {
  type: ["boolean", "string", "null"],
  enum: [
    ...[true, "True", "TRUE", "true", false, "False", "FALSE", "false", "", "1", "0", "y", "Y", "n", "N"],
    ...["on", "ON", "off", "OFF", "yes", "no", null],
  ],
}
export const strictBoolean = { type: "boolean" }
export const options = { type: "object" }
export const tag = { type: "string", minLength: 1, maxLength: 255, pattern: "^[^,/]*$" }
export const tags = { type: "array", items: tag, maxItems: 80, uniqueItems: true }

/** `{<member>: {…}}`; attributes beside the known ones are kept as they are. */
export function member(
  key: string,
  properties: Record<string, unknown>,
  options: { required?: readonly string[]; minProperties?: number; isClosed?: boolean } = {},
): JsonSchema {
  return {
    type: "object",
    properties: {
      [key]: {
        type: "object",
        properties,
        ...(options.required ? { required: options.required } : {}),
        ...(options.minProperties ? { minProperties: options.minProperties } : {}),
        ...(options.isClosed ? { additionalProperties: false } : {}),
      },
    },
    required: [key],
  }
}
