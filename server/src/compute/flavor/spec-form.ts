// What a value has to look like: of a flavor's extra specs, and of an image's properties.
export type Form = (
  | { kind: "text" }
  | { kind: "pattern"; pattern: string }
  | { kind: "word"; words: readonly string[] }
  | { kind: "integer"; min?: number; max?: number }
  | { kind: "boolean" }
) & {
  /** Why it is taken although nothing here reads it. Left out: something does, or refuses it. */
  unused?: string
}

export const text: Form = { kind: "text" }
export const flag: Form = { kind: "boolean" }
export const anyInteger: Form = { kind: "integer" }
export const amount: Form = { kind: "integer", min: 0 }
export const positive: Form = { kind: "integer", min: 1 }
export const word = (...words: string[]): Form => ({ kind: "word", words })
export const pattern = (pattern: string): Form => ({ kind: "pattern", pattern })
export const unused = (form: Form, why: string): Form => ({ ...form, unused: why })

export const each = (names: readonly string[], form: Form): Record<string, Form> =>
  Object.fromEntries(names.map((name) => [name, form]))

export interface Declared {
  /** The name, or a pattern of it. */
  pattern: string
  name: RegExp
  form: Form
}

export const whole = (source: string) => new RegExp(`^(?:${source})$`, "s")

export function declared(prefix: string, forms: Readonly<Record<string, Form>>): Declared[] {
  return Object.entries(forms).map(([name, form]) => ({
    pattern: `${prefix}${name}`,
    name: whole(`${prefix}(?:${name})`),
    form,
  }))
}

/** Null: none. */
export function mistakeOf(form: Form, value: string): string | null {
  switch (form.kind) {
    case "text":
      return null
    case "pattern":
      return whole(form.pattern).test(value) ? null : `is not of the format '${form.pattern}'`
    case "word":
      return form.words.includes(value) ? null : `is not one of: ${form.words.join(", ")}`
    case "boolean":
      return /^\s*(1|t|true|on|y|yes|0|f|false|off|n|no)\s*$/i.test(value)
        ? null
        : "is not a valid boolean-like value"
    case "integer":
      if (!/^\s*[+-]?\d+\s*$/.test(value)) return "is not a valid integer value"
      if (form.max !== undefined && Number(value) > form.max)
        return `is greater than the max value of '${form.max}'`
      return form.min !== undefined && Number(value) < form.min
        ? `is less than the min value of '${form.min}'`
        : null
  }
}
