// Schemas are compiled at first use: a process pays only for what it serves.
import { Compile, type Validator } from "typebox/compile"
import type { XSchema } from "typebox/schema"

const compiled = new WeakMap<object, Validator>()

export function fits(schema: XSchema, value: unknown): boolean {
  if (typeof schema === "boolean") return schema
  let validator = compiled.get(schema)
  if (!validator) {
    validator = Compile(schema)
    compiled.set(schema, validator)
  }
  return validator.Check(value)
}
