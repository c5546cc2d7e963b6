// Which filters and weighers decide: those that the configuration names, and the modules with filters of one's own.
import { isAbsolute } from "node:path"
import { pathToFileURL } from "node:url"
import { badConfig, type Config } from "../../platform/config/config.ts"
import type { ScheduleOptions } from "./config.ts"
import { allFilters } from "./filter/all.ts"
import { availabilityZoneFilter } from "./filter/availability-zone.ts"
import { computeFilter } from "./filter/compute.ts"
import type { Filter, Refusal } from "./filter/filter.ts"
import { allWeighers } from "./weigher/all.ts"
import { cpuWeigher } from "./weigher/cpu.ts"
import type { Weigher } from "./weigher/weigher.ts"

/** How hosts are chosen, as `compute.schedule.scheduler` names it. */
export interface Scheduler {
  filters: readonly Filter[]
  weighers: readonly Weigher[]
  /** Which hosts with room are looked at first: those with the most free memory, with the least, or any. */
  order: "free" | "tight" | "any"
  options: ScheduleOptions
}

const schedulers = new WeakMap<Config, Promise<Scheduler>>()

/** Throws what is wrong with the configuration; `startScheduler` has asked before anything else does. */
export async function schedulerOf(config: Config): Promise<Scheduler> {
  let made = schedulers.get(config)
  if (!made) {
    made = makeScheduler(config.compute.schedule)
    schedulers.set(config, made)
  }
  return await made
}

const at = (key: string) => `compute.schedule.${key}`

export async function makeScheduler(options: ScheduleOptions): Promise<Scheduler> {
  const available = await availableFilters(options.customFilters)
  const enabled = options.enabledFilters.map((name, index, names) => {
    if (names.indexOf(name) < index) throw badConfig(at("enabledFilters"), `${name} is named twice`)
    const found = available.get(name)
    if (found) return found
    throw badConfig(
      at("enabledFilters"),
      `there is no filter ${name}; there are ${[...available.keys()].join(", ")}`,
    )
  })
  const weighers = allWeighers.filter((weigher) => weigher.multiplier(options) !== 0)
  switch (options.scheduler) {
    case "filter":
      return {
        filters: enabled,
        weighers,
        order: options.ramWeightMultiplier < 0 ? "tight" : "free",
        options,
      }
    case "chance":
      return { filters: [computeFilter], weighers: [], order: "any", options }
    case "simple":
      return {
        filters: [computeFilter, availabilityZoneFilter],
        weighers: [cpuWeigher],
        order: "free",
        options,
      }
    default:
      throw badConfig(at("scheduler"), `there is no ${options.scheduler}; there are filter, chance, simple`)
  }
}

async function availableFilters(paths: readonly string[]): Promise<Map<string, Filter>> {
  const available = new Map(allFilters.map((filter) => [filter.name, filter]))
  for (const path of paths) {
    for (const filter of await loadFilters(path)) {
      if (available.has(filter.name)) throw badModule(path, `there is a filter ${filter.name} already`)
      available.set(filter.name, filter)
    }
  }
  return available
}

async function loadFilters(path: string): Promise<Filter[]> {
  if (!isAbsolute(path)) throw badModule(path, "it is no absolute path")
  let module: { filters?: unknown }
  try {
    module = await import(pathToFileURL(path).href)
  } catch (error) {
    throw badModule(path, error instanceof Error ? error.message : String(error))
  }
  const { filters } = module
  if (!Array.isArray(filters) || filters.length === 0) throw badModule(path, "it exports no list `filters`")
  return filters.map((filter: unknown) => checked(path, filter))
}

/** Looked at here, so that a wrong one is found at the start and not at the first server. */
function checked(path: string, filter: unknown): Filter {
  const { name, refuse, isAsked, narrow } = (filter ?? {}) as Partial<Record<keyof Filter, unknown>>
  if (typeof name !== "string" || !/^\w+$/.test(name))
    throw badModule(path, "a filter in it has no name of one word")
  if (typeof refuse !== "function") throw badModule(path, `${name} has no function \`refuse\``)
  for (const optional of [isAsked, narrow])
    if (optional !== undefined && typeof optional !== "function")
      throw badModule(path, `${name}: isAsked and narrow are functions where they are there`)
  return guarded(path, filter as Filter)
}

/** What it answers is only known when it is asked: a wrong answer names the filter, and lets no server through. */
function guarded(path: string, filter: Filter): Filter {
  const { name, needs } = filter
  const ask = <T>(about: string, question: () => T): T => {
    try {
      return question()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`The filter ${name} (${path}) failed${about}: ${why}`, { cause: error })
    }
  }
  return {
    name,
    ...(needs && { needs }),
    ...(filter.isAsked && { isAsked: (...args) => ask("", () => filter.isAsked?.(...args) ?? true) }),
    ...(filter.narrow && { narrow: (request) => ask("", () => filter.narrow?.(request) ?? {}) }),
    refuse: (host, request, options) =>
      ask(` for the host ${host.name}`, () => readRefusal(filter.refuse(host, request, options))),
  }
}

function readRefusal(answer: unknown): Refusal | null {
  if (answer === null || answer === undefined) return null
  if (answer instanceof Promise) {
    answer.catch(() => {}) // nobody waits for it
    throw new Error("`refuse` may not be async")
  }
  const refusal = answer as Partial<Refusal>
  if (typeof refusal.why !== "string") throw new Error("`refuse` answers null, or `why` and `fix`")
  // Left out: no change is known that would help.
  return { ...refusal, why: refusal.why, fix: refusal.fix ?? null }
}

function badModule(path: string, why: string) {
  return badConfig(at("customFilters"), `${path} cannot be loaded: ${why}`)
}
