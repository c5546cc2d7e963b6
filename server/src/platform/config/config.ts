// Configuration: one file (YAML), environment, flags; later ones win. Each service declares its own section as a
// TypeBox object with a default and a description for every key; docs/reference/config.md is generated from them.
import { readFileSync } from "node:fs"
import type { Static, TObject, TSchema } from "typebox"
import { Check, Errors } from "typebox/schema"
import { parse } from "yaml"
import { Fault } from "../fault/fault.ts"

/** The whole configuration. Services merge their sections in with `declare module`. */
export interface Config {
  /** Directory of everything that is kept. */
  readonly dataDir: string
  /** `http://127.0.0.1:5000`: the address that the catalog names. */
  readonly publicUrl: string
  /** Name of the region in the catalog. */
  readonly region: string
  /** Name of this host among the hosts of the cloud. */
  readonly host: string
}

export interface ConfigSection<T extends TObject = TObject> {
  name: string
  schema: T
  /** What the schema cannot say: throws what `badConfig` makes. */
  check?(value: Static<T>): void
}

export type SectionOf<S> = S extends ConfigSection<infer T> ? Static<T> : never

const sections = new Map<string, ConfigSection>()

/** Declares a section; every key needs `default` and `description` in its schema. Objects may nest. */
export function configSection<T extends TObject>(
  name: string,
  schema: T,
  check?: (value: Static<T>) => void,
): ConfigSection<T> {
  if (sections.has(name)) throw new Error(`config section ${name} is declared twice`)
  const section: ConfigSection<T> = { name, schema, ...(check ? { check } : {}) }
  sections.set(name, section)
  return section
}

export function declaredSections(): readonly ConfigSection[] {
  return [...sections.values()]
}

export interface ConfigSources {
  file?: string | undefined
  env: Readonly<Record<string, string | undefined>>
  /** `{"http.body_limit": …}`-like dotted keys from flags or tests; the strongest. */
  overrides?: Readonly<Record<string, unknown>>
  base: Config
}

/** Reads all declared sections; throws one fault that names the wrong key and what would be right. */
export function loadConfig(sources: ConfigSources): Config {
  const file = sources.file ? readConfigFile(sources.file) : {}
  for (const key of Object.keys(file)) {
    if (!sections.has(key))
      throw badConfig(key, `there is no section ${key}; sections are ${[...sections.keys()].join(", ")}`)
  }
  const result: Record<string, unknown> = { ...sources.base }
  for (const { name, schema, check } of sections.values()) {
    const value = readObject(schema, file[name], [name], sources)
    // Looked at once: a compiled check would not pay.
    if (!Check(schema, value)) {
      const [, [error]] = Errors(schema, value)
      throw badConfig(
        `${name}${error?.instancePath.replaceAll("/", ".") ?? ""}`,
        error?.message ?? "is not valid",
      )
    }
    check?.(value)
    result[name] = value
  }
  // Each section was checked against the schema that its type is taken from.
  return result as unknown as Config
}

function readConfigFile(path: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (cause) {
    throw new Fault("invalid", "config.unreadable", `The configuration file ${path} cannot be read.`, {
      cause,
    })
  }
  const value = readYaml(path, text)
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badConfig(path, "must be a mapping of sections")
  }
  return value as Record<string, unknown>
}

function readYaml(path: string, text: string): unknown {
  try {
    return parse(text) ?? {}
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause)
    const message = `The configuration file ${path} is no YAML: ${why.replace(/:$/, "")}.`
    throw new Fault("invalid", "config.unreadable", message, { cause })
  }
}

function readObject(
  schema: TObject,
  given: unknown,
  path: readonly string[],
  sources: ConfigSources,
): Record<string, unknown> {
  if (given !== undefined && (typeof given !== "object" || given === null || Array.isArray(given))) {
    throw badConfig(path.join("."), "must be a mapping")
  }
  const from = (given ?? {}) as Record<string, unknown>
  const known = schema.properties as Record<string, TSchema>
  for (const key of Object.keys(from)) {
    if (!Object.hasOwn(known, key))
      throw badConfig(
        [...path, key].join("."),
        `is not known here; keys are ${Object.keys(known).join(", ")}`,
      )
  }
  const result: Record<string, unknown> = {}
  for (const [key, property] of Object.entries(known)) {
    const at = [...path, key]
    result[key] = isObjectSchema(property)
      ? readObject(property, from[key], at, sources)
      : readValue(property, from[key], at, sources)
  }
  return result
}

function isObjectSchema(schema: TSchema): schema is TObject {
  return "properties" in schema
}

/** `identity.passwordHashCost` ← `KUMOI_IDENTITY_PASSWORD_HASH_COST` */
export function environmentName(path: readonly string[]): string {
  return `KUMOI_${path.map((p) => p.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase()).join("_")}`
}

function readValue(
  schema: TSchema,
  fromFile: unknown,
  path: readonly string[],
  sources: ConfigSources,
): unknown {
  const override = sources.overrides?.[path.join(".")]
  if (override !== undefined) return override
  const text = sources.env[environmentName(path)]
  if (text !== undefined) return fromText(schema, text)
  if (fromFile !== undefined) return fromFile
  return "default" in schema ? structuredClone(schema.default) : undefined
}

function fromText(schema: TSchema, text: string): unknown {
  const type = "type" in schema ? schema.type : undefined
  if (type === "string") return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export function badConfig(key: string, why: string): Fault {
  return new Fault("invalid", "config.invalid", `Configuration ${key}: ${why}.`)
}
