import { type Caller, internalCaller } from "../auth/caller.ts"
import { Fault } from "../fault/fault.ts"
import { type Check, type PolicyTarget, parseRule } from "./rule.ts"

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

export interface PolicyDecision {
  isAllowed: boolean
  rule: string
  check: string
  isOverridden: boolean
  why: string
}

interface Entry {
  default: PolicyDefault
  check: Check
  isOverridden: boolean
}

/** Rules by name: defaults from the services, single rules overridden by `policy.yaml`. */
export class PolicyEngine {
  readonly #entries = new Map<string, Entry>()
  #overrides = new Map<string, Check>()

  declare(defaults: readonly PolicyDefault[]): void {
    for (const d of defaults) {
      if (this.#entries.has(d.name)) throw new Error(`policy rule ${d.name} is declared twice`)
      this.#entries.set(d.name, { default: d, check: parseRule(d.check), isOverridden: false })
    }
  }

  /** Replaces all overrides at once; throws (and changes nothing) when one does not parse. */
  override(rules: Readonly<Record<string, string>>): void {
    const next = new Map<string, Check>()
    for (const [name, text] of Object.entries(rules)) next.set(name, parseRule(text))
    this.#overrides = next
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  defaults(): readonly PolicyDefault[] {
    return [...this.#entries.values()].map((entry) => entry.default)
  }

  /** Whether the caller may, without throwing. An unknown rule is a bug, never a yes. */
  isAllowed(caller: Caller, rule: string, target: PolicyTarget = {}): boolean {
    return this.explain(caller, rule, target).isAllowed
  }

  explain(caller: Caller, rule: string, target: PolicyTarget = {}): PolicyDecision {
    const entry = this.#entries.get(rule)
    const override = this.#overrides.get(rule)
    if (!entry && !override) throw new Error(`policy rule ${rule} is not declared`)
    const check = override ?? entry?.check
    if (caller === internalCaller) {
      return { rule, check: "@", isOverridden: false, isAllowed: true, why: "the program acts for itself" }
    }
    const decision = { rule, check: check?.text ?? "!", isOverridden: override !== undefined }
    const scope = scopeOf(caller)
    const scopes = entry?.default.scopes
    if (scopes && scope !== null && !scopes.includes(scope)) {
      return {
        ...decision,
        isAllowed: false,
        why: `needs a token with ${scopes.join(" or ")} scope; this one has ${scope} scope`,
      }
    }
    const isAllowed = this.#run(check, caller, target, 0)
    return { ...decision, isAllowed, why: isAllowed ? "the check holds" : "the check does not hold" }
  }

  #run(check: Check | undefined, caller: Caller, target: PolicyTarget, depth: number): boolean {
    if (!check || depth > 16) return false
    return check({
      caller,
      target,
      rule: (name) =>
        this.#run(this.#overrides.get(name) ?? this.#entries.get(name)?.check, caller, target, depth + 1),
    })
  }

  /** Throws `forbidden` when the caller may not. */
  enforce(caller: Caller, rule: string, target: PolicyTarget = {}): void {
    const decision = this.explain(caller, rule, target)
    if (decision.isAllowed) return
    throw new Fault("forbidden", "policy.forbidden", `Policy doesn't allow ${rule} to be performed.`, {
      internal: decision,
      detail: { rule },
    })
  }
}

export function scopeOf(caller: Caller): Scope | null {
  if (caller.systemScope) return "system"
  if (caller.projectId) return "project"
  if (caller.domainId) return "domain"
  return null
}
