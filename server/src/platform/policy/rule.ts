// The rule language of oslo.policy: `role:admin or (role:member and project_id:%(project_id)s)`, `rule:NAME`,
// `not`, `@` (always), `!` (never), `is_admin:True`, `system_scope:all`, `user_id:%(target.user.id)s`,
// `'literal':%(key)s`. Reference: https://docs.openstack.org/oslo.policy/latest/reference/api/oslo_policy.policy.html
// Unlike there, a word that can never hold (an attribute that no caller has) does not parse: it is a typing mistake.
import type { Caller } from "../auth/caller.ts"

/** Facts about what is acted on: `project_id`, `user_id`, `target.user.domain_id` … Dots name nested values. */
export type PolicyTarget = Readonly<Record<string, unknown>>

/** A rule as it was parsed. */
export type Check =
  | { readonly kind: "always" | "never"; readonly text: string }
  | { readonly kind: "and" | "or"; readonly text: string; readonly parts: readonly Check[] }
  | { readonly kind: "not"; readonly text: string; readonly part: Check }
  | { readonly kind: "rule"; readonly text: string; readonly name: string }
  | Leaf

/** A comparison of the caller with the target or with a word. */
export interface Leaf {
  readonly kind: "leaf"
  readonly text: string
  readonly holds: (caller: Caller, target: PolicyTarget) => boolean
  /** Whether it depends on what is acted on. */
  readonly asksTarget: boolean
  /** What was compared, for people who ask why. */
  readonly facts: (caller: Caller, target: PolicyTarget) => string
}

export class PolicySyntaxError extends Error {
  constructor(text: string, why: string) {
    super(`policy rule ${JSON.stringify(text)}: ${why}`)
    this.name = "PolicySyntaxError"
  }
}

/** Compiles a rule; throws PolicySyntaxError. */
export function parseRule(text: string): Check {
  const trimmed = text.trim()
  if (trimmed === "" || trimmed === "@") return { kind: "always", text: "@" }
  const tokens = trimmed.match(/\(|\)|(?:'[^']*'|"[^"]*"|%\([^)]*\)s|[^\s()])+/g) ?? []
  const parser = { tokens, at: 0, text: trimmed }
  const check = parseJoined(parser, "or")
  if (parser.at < tokens.length) throw new PolicySyntaxError(text, `unexpected ${tokens[parser.at]}`)
  return check
}

/** Names of the rules that a rule asks. */
export function namedRules(check: Check): string[] {
  switch (check.kind) {
    case "rule":
      return [check.name]
    case "not":
      return namedRules(check.part)
    case "and":
    case "or":
      return check.parts.flatMap(namedRules)
    default:
      return []
  }
}

interface Parser {
  tokens: readonly string[]
  at: number
  text: string
}

/** `and` binds closer than `or`. */
function parseJoined(p: Parser, kind: "and" | "or"): Check {
  const next = () => (kind === "or" ? parseJoined(p, "and") : parseNot(p))
  const parts = [next()]
  while (p.tokens[p.at]?.toLowerCase() === kind) {
    p.at++
    parts.push(next())
  }
  const [only] = parts
  if (only && parts.length === 1) return only
  return { kind, parts, text: parts.map(inParentheses).join(` ${kind} `) }
}

function inParentheses(part: Check): string {
  return part.kind === "and" || part.kind === "or" ? `(${part.text})` : part.text
}

function parseNot(p: Parser): Check {
  if (p.tokens[p.at]?.toLowerCase() === "not") {
    p.at++
    const part = parseNot(p)
    return { kind: "not", part, text: `not ${inParentheses(part)}` }
  }
  const token = p.tokens[p.at++]
  if (token === undefined) throw new PolicySyntaxError(p.text, "ends too early")
  if (token === "(") {
    const inner = parseJoined(p, "or")
    if (p.tokens[p.at++] !== ")") throw new PolicySyntaxError(p.text, "a closing parenthesis is missing")
    return inner
  }
  return parseLeaf(p, token)
}

function parseLeaf(p: Parser, token: string): Check {
  if (token === "@") return { kind: "always", text: token }
  if (token === "!") return { kind: "never", text: token }
  const isQuoted = token.startsWith("'") || token.startsWith('"')
  const colon = token.indexOf(":", isQuoted ? token.indexOf(token[0] ?? "'", 1) : 0)
  if (colon < 0) throw new PolicySyntaxError(p.text, `${token} is not KIND:MATCH`)
  const left = token.slice(0, colon)
  const match = token.slice(colon + 1)
  if (match === "") throw new PolicySyntaxError(p.text, `${token} compares with nothing`)
  const right = operand(match)
  if (left === "rule") return { kind: "rule", name: match, text: token }
  if (left === "role") return roleCheck(token, right)
  if (left === "is_admin") return adminCheck(token, match === "True" || match === "1")
  const literal = /^['"](.*)['"]$/.exec(left)?.[1] ?? /^(?:True|False|\d+)$/.exec(left)?.[0]
  if (literal !== undefined) return comparison(token, () => literal, right)
  if (left === "None") return noneCheck(token, right)
  const fact = Object.hasOwn(callerFacts, left) ? callerFacts[left] : undefined
  if (!fact) {
    const known = Object.keys(callerFacts).join(", ")
    throw new PolicySyntaxError(
      p.text,
      `there is no check ${left}; a caller has rule, role, is_admin, ${known}`,
    )
  }
  // `domain_id:None` holds for a caller without one.
  if (match === "None") return callerLacks(token, fact)
  return comparison(token, fact, right)
}

interface Operand {
  /** The target's name for it; null for a word. */
  key: string | null
  read: (target: PolicyTarget) => unknown
}

function operand(match: string): Operand {
  const key = /^%\((.*)\)s$/.exec(match)?.[1]
  if (key === undefined) return { key: null, read: () => match }
  return { key, read: (target) => targetFact(target, key) }
}

function roleCheck(text: string, wanted: Operand): Leaf {
  // Lower case once for a plain name: this is the check that most requests make.
  const plain = wanted.key === null ? String(wanted.read({})).toLowerCase() : null
  const nameIn = (target: PolicyTarget) => plain ?? textOf(wanted.read(target))?.toLowerCase()
  return {
    kind: "leaf",
    text,
    asksTarget: wanted.key !== null,
    holds: ({ roles }, target) => {
      const name = nameIn(target)
      return name !== undefined && roles.some((role) => role.toLowerCase() === name)
    },
    facts: ({ roles }) => (roles.length === 0 ? "the caller has no role" : `roles: ${roles.join(", ")}`),
  }
}

/** Who is one is itself a rule. */
function adminCheck(text: string, wanted: boolean): Check {
  const part: Check = { kind: "rule", name: "context_is_admin", text: wanted ? text : "is_admin:True" }
  return wanted ? part : { kind: "not", part, text }
}

function noneCheck(text: string, right: Operand): Leaf {
  return {
    kind: "leaf",
    text,
    asksTarget: right.key !== null,
    holds: (_caller, target) => right.read(target) === null,
    facts: (_caller, target) => saidOfTarget(right, target),
  }
}

function callerLacks(text: string, fact: (caller: Caller) => unknown): Leaf {
  return {
    kind: "leaf",
    text,
    asksTarget: false,
    holds: (caller) => (fact(caller) ?? null) === null,
    facts: (caller) => `caller: ${shown(fact(caller))}`,
  }
}

function comparison(text: string, left: (caller: Caller) => unknown, right: Operand): Leaf {
  return {
    kind: "leaf",
    text,
    asksTarget: right.key !== null,
    holds: (caller, target) => isSame(left(caller), right.read(target)),
    facts: (caller, target) => {
      const parts = text.startsWith("'") || text.startsWith('"') ? [] : [`caller: ${shown(left(caller))}`]
      if (right.key !== null) parts.push(saidOfTarget(right, target))
      return parts.join(", ")
    },
  }
}

function saidOfTarget(right: Operand, target: PolicyTarget): string {
  const value = right.read(target)
  return value === undefined ? `the target has no ${right.key}` : `target: ${shown(value)}`
}

function shown(value: unknown): string {
  return value === null || value === undefined
    ? "none"
    : Array.isArray(value)
      ? value.join(" ")
      : String(value)
}

/** An absent fact never matches, not even another absent one. */
function isSame(have: unknown, wanted: unknown): boolean {
  const right = textOf(wanted)
  if (right === undefined) return false
  if (Array.isArray(have)) return have.some((one) => textOf(one) === right)
  const left = textOf(have)
  if (left === undefined) return false
  // Python writes its booleans with a capital, and so do the rules that people bring along.
  return left === right || (typeof wanted === "boolean" && left.toLowerCase() === right)
}

function textOf(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : String(value)
}

function targetFact(target: PolicyTarget, key: string): unknown {
  if (key in target) return target[key]
  let at: unknown = target
  for (const part of key.split(".")) {
    if (typeof at !== "object" || at === null) return undefined
    at = Reflect.get(at, part)
  }
  return at
}

/** The caller's side, under the names that oslo.context gives them. */
const callerFacts: Readonly<Record<string, (caller: Caller) => unknown>> = {
  user_id: (caller) => caller.userId,
  project_id: (caller) => caller.projectId,
  tenant_id: (caller) => caller.projectId,
  domain_id: (caller) => caller.domainId,
  user_domain_id: (caller) => caller.userDomainId,
  project_domain_id: (caller) => caller.projectDomainId,
  system_scope: (caller) => caller.systemScope,
  is_admin_project: (caller) => (caller.isAdminProject ? "True" : "False"),
  roles: (caller) => caller.roles,
  "token.domain.id": (caller) => caller.domainId,
  "token.user.domain.id": (caller) => caller.userDomainId,
  "token.project.domain.id": (caller) => caller.projectDomainId,
}
