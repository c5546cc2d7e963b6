import { type Caller, internalCaller } from "../auth/caller.ts"
import { Fault } from "../fault/fault.ts"
import { evaluate, type Question, type Trace } from "./evaluate.ts"
import { type Check, namedRules, type PolicyTarget, parseRule } from "./rule.ts"

export type Scope = "project" | "domain" | "system"

/** One rule as a service declares it, under oslo.policy's name and with its default. */
export interface PolicyDefault {
  /** `os_compute_api:servers:create`, `create_network`, `identity:list_users` … */
  name: string
  check: string
  description: string
  /** Token scopes that may use it; others get 403 whatever their roles. Absent: any. */
  scopes?: readonly Scope[]
}

/** Makes rules for tokens of projects; `prefix` stands before the name of each. */
export const projectRules =
  (prefix = "") =>
  (name: string, check: string, description: string): PolicyDefault => ({
    name: `${prefix}${name}`,
    check,
    description,
    scopes: ["project"],
  })

export interface PolicyDecision {
  rule: string
  isAllowed: boolean
  check: string
  isOverridden: boolean
  /** Token scopes that may use the rule; null: any. */
  scopes: readonly Scope[] | null
  /** Of the caller; null: unscoped. */
  scope: Scope | null
  isScopeRight: boolean
  trace: Trace
}

/** A rule as it is in force. */
export interface EffectiveRule {
  name: string
  /** The service that declared it; null for a rule that only the policy files know. */
  service: string | null
  check: string
  /** What holds without policy files; null when there is none. */
  defaultCheck: string | null
  isOverridden: boolean
  scopes: readonly Scope[] | null
  description: string
}

export interface RuleProblem {
  rule: string
  why: string
  /** Which of the layers has it, from 0. */
  layer: number
}

interface Entry {
  service: string
  default: PolicyDefault
  check: Check
}

/** Rules by name: defaults from the services, single rules overridden by the policy files. */
export class PolicyEngine {
  readonly #entries = new Map<string, Entry>()
  #overrides: ReadonlyMap<string, Check> = new Map()
  #beforeDeciding: (() => void) | null = null

  declare(defaults: readonly PolicyDefault[], service = ""): void {
    for (const d of defaults) {
      if (this.#entries.has(d.name)) throw new Error(`policy rule ${d.name} is declared twice`)
      this.#entries.set(d.name, { service, default: d, check: parseRule(d.check) })
    }
  }

  /** Replaces all overrides at once and says how many; throws (and changes nothing) when one is wrong. */
  override(...layers: readonly Readonly<Record<string, string>>[]): number {
    const problems = this.problemsOf(...layers)
    if (problems.length > 0) throw new Error(problems.map((p) => `${p.rule}: ${p.why}`).join("; "))
    const rules = layers.flatMap((layer) => Object.entries(layer))
    this.#overrides = new Map(rules.map(([name, text]) => [name, parseRule(text)]))
    return this.#overrides.size
  }

  /** Called before each decision, to look whether the rules have changed. Must be cheap. */
  beforeDeciding(look: () => void): void {
    this.#beforeDeciding = look
  }

  /** Every mistake in these overrides; of several layers, later ones win. */
  problemsOf(...layers: readonly Readonly<Record<string, string>>[]): RuleProblem[] {
    const problems: RuleProblem[] = []
    const parsed = layers.map((rules, layer) => parseAll(rules, layer, problems))
    const asked = new Set(parsed.flatMap((rules) => [...rules.values()].flatMap(namedRules)))
    const merged = new Map(parsed.flatMap((rules) => [...rules]))
    const isWritten = (name: string) => layers.some((rules) => Object.hasOwn(rules, name))
    const find = (name: string) => merged.get(name) ?? this.#entries.get(name)?.check
    for (const [layer, rules] of parsed.entries()) {
      for (const [rule, check] of rules) {
        const add = (why: string) => problems.push({ rule, why, layer })
        // A name of the files' own is a help for other rules; one that nobody asks is a typing mistake.
        if (!this.#entries.has(rule) && !asked.has(rule))
          add("there is no such rule; ./kumoi policy list shows all")
        for (const name of namedRules(check))
          if (!find(name) && !isWritten(name)) add(`it asks rule:${name}, which there is not`)
        const circle = merged.get(rule) === check ? circleFrom(rule, find) : null
        if (circle) add(`it asks itself: ${circle.join(" -> ")}`)
      }
    }
    return problems
  }

  /** Every rule as it is in force, in the order of declaration. */
  list(): EffectiveRule[] {
    this.#beforeDeciding?.()
    const declared = [...this.#entries.values()].map(({ service, default: d }) => {
      const override = this.#overrides.get(d.name)
      return {
        name: d.name,
        service,
        check: override?.text ?? d.check,
        defaultCheck: d.check,
        isOverridden: override !== undefined,
        scopes: d.scopes ?? null,
        description: d.description,
      }
    })
    const own = [...this.#overrides]
      .filter(([name]) => !this.#entries.has(name))
      .map(([name, { text }]) => {
        const nothing = { service: null, defaultCheck: null, scopes: null, description: "" }
        return { ...nothing, name, check: text, isOverridden: true }
      })
    return [...declared, ...own]
  }

  /** Whether the caller may, without throwing. An unknown rule is a bug, never a yes. */
  isAllowed(caller: Caller, rule: string, target: PolicyTarget = {}): boolean {
    if (caller === internalCaller && this.#entries.has(rule)) return true
    this.#beforeDeciding?.()
    const check = this.#mustFind(rule)
    return (
      isScopeRight(this.#scopesOf(rule), scopeOf(caller)) && evaluate(check, this.#question(caller, target))
    )
  }

  /** Whether there could be a target for which the caller may; when not, nothing about the request matters. */
  mightAllow(caller: Caller, rule: string): boolean {
    if (caller === internalCaller) return true
    this.#beforeDeciding?.()
    const question = { ...this.#question(caller, {}), hope: true }
    return isScopeRight(this.#scopesOf(rule), scopeOf(caller)) && evaluate(this.#mustFind(rule), question)
  }

  /** The decision with every check that led to it. */
  explain(caller: Caller, rule: string, target: PolicyTarget = {}): PolicyDecision {
    this.#beforeDeciding?.()
    const check = this.#mustFind(rule)
    const scopes = this.#scopesOf(rule)
    const scope = scopeOf(caller)
    const traces: Trace[] = []
    const holds = evaluate(check, this.#question(caller, target), traces)
    const isRight = isScopeRight(scopes, scope)
    return {
      rule,
      isAllowed: isRight && holds,
      check: check.text,
      isOverridden: this.#overrides.has(rule),
      scopes,
      scope,
      isScopeRight: isRight,
      trace: { kind: "rule", check: rule, holds, parts: traces },
    }
  }

  /** Throws `forbidden` when the caller may not. */
  enforce(caller: Caller, rule: string, target: PolicyTarget = {}): void {
    if (this.isAllowed(caller, rule, target)) return
    throw new Fault("forbidden", "policy.forbidden", `Policy doesn't allow ${rule} to be performed.`, {
      internal: { rule, roles: caller.roles, scope: scopeOf(caller) },
      detail: { rule },
    })
  }

  has(rule: string): boolean {
    return this.#entries.has(rule) || this.#overrides.has(rule)
  }

  #mustFind(rule: string): Check {
    const check = this.#find(rule)
    if (!check) throw new Error(`policy rule ${rule} is not declared`)
    return check
  }

  readonly #find = (rule: string): Check | undefined =>
    this.#overrides.get(rule) ?? this.#entries.get(rule)?.check

  #question(caller: Caller, target: PolicyTarget): Question {
    return { caller, target, rule: this.#find }
  }

  #scopesOf(rule: string): readonly Scope[] | null {
    return this.#entries.get(rule)?.default.scopes ?? null
  }
}

export function scopeOf(caller: Caller): Scope | null {
  if (caller.systemScope) return "system"
  if (caller.projectId) return "project"
  if (caller.domainId) return "domain"
  return null
}

function isScopeRight(scopes: readonly Scope[] | null, scope: Scope | null): boolean {
  return scopes === null || scope === null || scopes.includes(scope)
}

/** Those that parse; the others become problems. */
function parseAll(
  rules: Readonly<Record<string, string>>,
  layer: number,
  problems: RuleProblem[],
): Map<string, Check> {
  const parsed = new Map<string, Check>()
  for (const [rule, text] of Object.entries(rules)) {
    try {
      parsed.set(rule, parseRule(text))
    } catch (error) {
      problems.push({ rule, why: error instanceof Error ? error.message : String(error), layer })
    }
  }
  return parsed
}

/** The way from a rule back to itself, when there is one. */
function circleFrom(rule: string, find: (name: string) => Check | undefined): string[] | null {
  const seen = new Set<string>()
  const walk = (name: string, way: readonly string[]): string[] | null => {
    const check = find(name)
    for (const next of check ? namedRules(check) : []) {
      if (next === rule) return [...way, next]
      if (seen.has(next)) continue
      seen.add(next)
      const found = walk(next, [...way, next])
      if (found) return found
    }
    return null
  }
  return walk(rule, [rule])
}
