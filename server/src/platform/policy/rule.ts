// The rule language of oslo.policy: `role:admin or (role:member and project_id:%(project_id)s)`, `rule:NAME`,
// `not`, `@` (always), `!` (never), `is_admin:True`, `system_scope:all`, `user_id:%(target.user.id)s`,
// `'literal':%(key)s`. Reference: https://docs.openstack.org/oslo.policy/latest/reference/api/oslo_policy.policy.html
import type { Caller } from "../auth/caller.ts"

/** Facts about what is acted on: `project_id`, `user_id`, `target.user.domain_id` … Dots name nested values. */
export type PolicyTarget = Readonly<Record<string, unknown>>

export interface CheckInput {
  caller: Caller
  target: PolicyTarget
  /** Evaluates another rule by name. */
  rule: (name: string) => boolean
}

export type Check = ((input: CheckInput) => boolean) & { readonly text: string }

export class PolicySyntaxError extends Error {
  constructor(text: string, why: string) {
    super(`policy rule ${JSON.stringify(text)}: ${why}`)
    this.name = "PolicySyntaxError"
  }
}

/** Compiles a rule; throws PolicySyntaxError. */
export function parseRule(text: string): Check {
  const trimmed = text.trim()
  if (trimmed === "" || trimmed === "@") return named(() => true, "@")
  const tokens = tokenize(trimmed)
  const parser = { tokens, at: 0, text: trimmed }
  const check = parseOr(parser)
  if (parser.at < tokens.length) throw new PolicySyntaxError(text, `unexpected ${tokens[parser.at]}`)
  return named(check, trimmed)
}

type Plain = (input: CheckInput) => boolean
interface Parser {
  tokens: string[]
  at: number
  text: string
}

function named(check: Plain, text: string): Check {
  return Object.assign((input: CheckInput) => check(input), { text })
}

function tokenize(text: string): string[] {
  return text.match(/\(|\)|(?:'[^']*'|"[^"]*"|%\([^)]*\)s|[^\s()])+/g) ?? []
}

function parseOr(p: Parser): Plain {
  const parts = [parseAnd(p)]
  while (p.tokens[p.at]?.toLowerCase() === "or") {
    p.at++
    parts.push(parseAnd(p))
  }
  return parts.length === 1 && parts[0] ? parts[0] : (input) => parts.some((part) => part(input))
}

function parseAnd(p: Parser): Plain {
  const parts = [parseNot(p)]
  while (p.tokens[p.at]?.toLowerCase() === "and") {
    p.at++
    parts.push(parseNot(p))
  }
  return parts.length === 1 && parts[0] ? parts[0] : (input) => parts.every((part) => part(input))
}

function parseNot(p: Parser): Plain {
  if (p.tokens[p.at]?.toLowerCase() === "not") {
    p.at++
    const inner = parseNot(p)
    return (input) => !inner(input)
  }
  const token = p.tokens[p.at++]
  if (token === undefined) throw new PolicySyntaxError(p.text, "ends too early")
  if (token === "(") {
    const inner = parseOr(p)
    if (p.tokens[p.at++] !== ")") throw new PolicySyntaxError(p.text, "a closing parenthesis is missing")
    return inner
  }
  return parseLeaf(p, token)
}

function parseLeaf(p: Parser, token: string): Plain {
  if (token === "@") return () => true
  if (token === "!") return () => false
  const colon =
    token.startsWith("'") || token.startsWith('"')
      ? token.indexOf(":", token.indexOf(token[0] ?? "'", 1))
      : token.indexOf(":")
  if (colon < 0) throw new PolicySyntaxError(p.text, `${token} is not KIND:MATCH`)
  const kind = token.slice(0, colon)
  const match = token.slice(colon + 1)
  if (kind === "rule") return (input) => input.rule(match)
  if (kind === "role") {
    const wanted = match.toLowerCase()
    return (input) => input.caller.roles.some((role) => role.toLowerCase() === wanted)
  }
  if (kind === "is_admin")
    return (input) => input.caller.roles.includes("admin") === (match === "True" || match === "1")
  const right = operand(match)
  // `None:%(key)s` holds for a key that is there and empty; `domain_id:None` for a caller without one.
  if (kind === "None") return (input) => right(input) === null
  if (match === "None") return (input) => (callerFact(input.caller, kind) ?? null) === null
  const literal = /^['"](.*)['"]$/.exec(kind)?.[1]
  const left = literal === undefined ? (input: CheckInput) => callerFact(input.caller, kind) : () => literal
  return (input) => {
    const wanted = right(input)
    const have = left(input)
    return (
      wanted !== undefined &&
      wanted !== null &&
      have !== undefined &&
      have !== null &&
      String(have) === String(wanted)
    )
  }
}

function operand(match: string): (input: CheckInput) => unknown {
  const key = /^%\((.*)\)s$/.exec(match)?.[1]
  if (key === undefined) return () => match
  return (input) => targetFact(input.target, key)
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
function callerFact(caller: Caller, name: string): unknown {
  switch (name) {
    case "user_id":
      return caller.userId
    case "project_id":
    case "tenant_id":
      return caller.projectId
    case "domain_id":
    case "token.domain.id":
      return caller.domainId
    case "user_domain_id":
    case "token.user.domain.id":
      return caller.userDomainId
    case "project_domain_id":
    case "token.project.domain.id":
      return caller.projectDomainId
    case "system_scope":
      return caller.systemScope
    case "is_admin_project":
      return caller.isAdminProject ? "True" : "False"
    default:
      return undefined
  }
}
