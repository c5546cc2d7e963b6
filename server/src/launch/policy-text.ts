// What `kumoi policy` prints for people.
import type { Trace } from "../platform/policy/evaluate.ts"
import type { EffectiveRule } from "../platform/policy/policy.ts"
import type { PolicyExplanation } from "./policy-answer.ts"

export function renderExplanation(found: PolicyExplanation): string {
  const { user, scope, roles, decision, refusal } = found
  const head = [["user", `${user.name}${user.id ? ` (${user.id})` : ""}, token of ${scope}`]]
  for (const [at, { name, from }] of roles.entries())
    head.push([at === 0 ? "roles" : "", `${name.padEnd(10)} ${from.join("; ")}`])
  const facts = Object.entries(found.target).map(([key, value]) => `${key}=${value ?? "none"}`)
  if (!refusal) {
    const whose = found.isTargetGiven ? "" : "   (none was given: the user's own)"
    head.push(["target", `${facts.join("  ") || "nothing"}${whose}`])
  }
  const lines = head.map(([word, text]) => `${(word ?? "").padEnd(8)} ${text}`)
  if (refusal || !decision)
    return `${lines.join("\n")}\n\nDENIED: there is no such token: ${refusal ?? "no reason"}\n`
  const from = decision.isOverridden ? "from the policy files" : "default"
  lines.push(`${"rule".padEnd(8)} ${decision.rule} = ${decision.check}   (${from})`)
  return `${lines.join("\n")}\n\n${tree(decision)}\n${verdict(decision)}\n`
}

type Decision = NonNullable<PolicyExplanation["decision"]>

function mark(holds: boolean): string {
  return holds ? "✓" : "✗"
}

function tree(decision: Decision): string {
  const { scopes, scope, isScopeRight } = decision
  const lines = branch(decision.trace, "")
  if (scopes) {
    const has = scope ?? "no"
    lines.unshift(`${mark(isScopeRight)} token scope: ${has} scope; the rule is for ${scopes.join(", ")}`)
  }
  return `${lines.join("\n")}\n`
}

function branch(trace: Trace, indent: string): string[] {
  const word =
    trace.kind === "or" ? "or: one of" : trace.kind === "and" ? "and: all of" : (notOf(trace) ?? trace.check)
  const facts = trace.facts ? `   (${trace.facts})` : ""
  return [
    `${indent}${mark(trace.holds)} ${word}${facts}`,
    ...(trace.parts ?? []).flatMap((part) => branch(part, `${indent}  `)),
  ]
}

function notOf(trace: Trace): string | undefined {
  return trace.kind === "not" ? "not" : undefined
}

function verdict(decision: Decision): string {
  const word = decision.isAllowed ? "ALLOWED" : "DENIED"
  if (!decision.isScopeRight) return `${word}: decided by the token's scope`
  // The joints on the way say nothing that their parts do not.
  const last = decision.decidedBy.at(-1)
  const path = decision.decidedBy.filter((t) => t.kind === "rule" || (t === last && t.kind !== "or"))
  const how =
    last?.kind === "or" ? ": none of the alternatives holds" : last?.kind === "and" ? ": all hold" : ""
  return `${word}: decided by ${path.map((t) => t.check).join(" → ")}${how}`
}

export function renderRules(rules: readonly EffectiveRule[]): string {
  return rules
    .map((rule) => {
      const scopes = rule.scopes ? `  [${rule.scopes.join(", ")}]` : ""
      const before =
        rule.isOverridden && rule.defaultCheck !== null ? `\n    default: ${rule.defaultCheck || "@"}` : ""
      return `${rule.isOverridden ? "*" : " "} ${rule.name}: ${rule.check || "@"}${scopes}${before}\n`
    })
    .join("")
}
