// Options that the commands share, and how they are read.
import { resolve } from "node:path"
import { type ParseArgsConfig, parseArgs } from "node:util"
import { Fault } from "../platform/fault/fault.ts"

export type OptionSpecs = Record<string, OptionSpec>

interface OptionSpec {
  type: "string" | "boolean"
  short?: string
  help: string
  value?: string
  choices?: readonly string[]
  /** Of a command with actions: first words with which it may stand. Left out: all. */
  of?: readonly string[]
}

export const dataOption = {
  data: { type: "string", value: "DIR", help: "data directory of the cloud (default ./.kumoi)" },
} as const satisfies OptionSpecs

export interface ParsedOptions {
  text: (name: string) => string | undefined
  flag: (name: string) => boolean
  positionals: string[]
}

interface CommandHelp {
  /** Behind `./kumoi`. */
  usage: string
  what: string
  specs: OptionSpecs
  /** Whether there may be more than options. */
  takesWords?: boolean
}

/** Reads the options for `run`; `--help` prints what there is. The number is the exit status. */
export function command(
  about: CommandHelp,
  run: (options: ParsedOptions, args: string[]) => Promise<number>,
): (args: string[]) => Promise<number> {
  return async (args) => {
    const options = readOptions(args, { ...about.specs, ...helpOption }, about.takesWords)
    if (options.flag("help")) {
      process.stdout.write(helpText(about))
      return 0
    }
    checkActions(options, about.specs)
    return await run(options, args)
  }
}

/** An option that has no effect would make believe that it had one. */
function checkActions(options: ParsedOptions, specs: OptionSpecs): void {
  const [action = ""] = options.positionals
  for (const [name, { of }] of Object.entries(specs)) {
    const isGiven = options.flag(name) || options.text(name) !== undefined
    if (isGiven && of && !of.includes(action)) throw optionInvalid(`--${name} is for ${of.join(" and ")}.`)
  }
}

function optionInvalid(message: string): Fault {
  return new Fault("invalid", "cli.option.invalid", message)
}

const helpOption = { help: { type: "boolean", short: "h", help: "" } } as const satisfies OptionSpecs

/** Reads a command's options; a wrong one is an error that says what would be right. */
export function readOptions(args: string[], specs: OptionSpecs, allowPositionals = false): ParsedOptions {
  const options: NonNullable<ParseArgsConfig["options"]> = {}
  for (const [name, spec] of Object.entries(specs))
    options[name] = { type: spec.type, ...(spec.short ? { short: spec.short } : {}) }
  const { values, positionals } = parseArgs({ args, options, allowPositionals, strict: true })
  for (const [name, spec] of Object.entries(specs)) {
    const value = values[name]
    if (spec.choices && typeof value === "string" && !spec.choices.includes(value)) {
      throw optionInvalid(`--${name} ${value}: use one of ${spec.choices.join(", ")}.`)
    }
  }
  return {
    text: (name) => (typeof values[name] === "string" ? values[name] : undefined),
    flag: (name) => values[name] === true,
    positionals,
  }
}

export function helpText({ usage, what, specs }: CommandHelp): string {
  const rows = Object.entries(specs).map(([name, spec]) => {
    const value = spec.choices ? ` ${spec.choices.join("|")}` : spec.value ? ` ${spec.value}` : ""
    return `  --${`${name}${value}`.padEnd(28)} ${spec.help}`
  })
  return `usage: ./kumoi ${usage}\n\n${what}\n\n${rows.join("\n")}\n`
}

export function dataDirOf(options: ParsedOptions): string {
  return resolve(options.text("data") ?? process.env.KUMOI_DATA ?? ".kumoi")
}

/** What a command for this cloud says of its data directory: nothing of the default one. */
export function dataWords(dataDir: string): string {
  return dataDir === resolve(".kumoi") ? "" : ` --data ${dataDir}`
}

interface Bounds {
  min: number
  max: number
}

/** A whole number in bounds, or an error that names the option. */
export function numberOption(options: ParsedOptions, name: string, bounds: Bounds): number | undefined {
  const text = options.text(name)
  return text === undefined ? undefined : wholeNumber(`--${name}`, text, bounds)
}

/** The number that stands behind `where`. */
export function wholeNumber(where: string, text: string, { min, max }: Bounds): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw optionInvalid(`${where} ${text}: use a whole number from ${min} to ${max}.`)
}
