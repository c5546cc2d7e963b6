// Runs a parsed rule for one caller and one target. The same walk decides and explains: with a trace it goes on
// where the outcome is known already, so that a reader sees every check.
import type { Caller } from "../auth/caller.ts"
import type { Check, PolicyTarget } from "./rule.ts"

export interface Question {
  readonly caller: Caller
  readonly target: PolicyTarget
  /** Another rule by its name; undefined when there is none. */
  readonly rule: (name: string) => Check | undefined
  /** The target is not known yet: what every check that asks for it is taken to be. */
  readonly hope?: boolean
}

/** One check and how it came out. */
export interface Trace {
  kind: Check["kind"]
  /** As it is written: `role:admin`, `rule:admin_required`, `role:admin or role:reader`. */
  check: string
  holds: boolean
  /** What was compared. */
  facts?: string
  parts?: Trace[]
}

/** Rules that ask rules that ask rules …: deeper is a circle, which `findCircle` refuses before it gets here. */
const depthMost = 32

/** Whether the check holds. What it saw is added to `traces`. An unknown rule does not hold. */
export function evaluate(check: Check | undefined, question: Question, traces?: Trace[], depth = 0): boolean {
  if (!check || depth > depthMost) return false
  const parts: Trace[] | undefined = traces && []
  const holds = holdsIn(check, question, parts, depth + 1)
  if (traces) {
    const facts = factsOf(check, question)
    traces.push({
      kind: check.kind,
      check: check.text,
      holds,
      ...(facts ? { facts } : {}),
      ...(parts && parts.length > 0 ? { parts } : {}),
    })
  }
  return holds
}

function holdsIn(check: Check, question: Question, traces: Trace[] | undefined, depth: number): boolean {
  switch (check.kind) {
    case "always":
      return true
    case "never":
      return false
    case "leaf":
      if (question.hope !== undefined && check.asksTarget) return question.hope
      return check.holds(question.caller, question.target)
    case "rule":
      return evaluate(question.rule(check.name), question, traces, depth)
    case "not":
      return !evaluate(check.part, opposite(question), traces, depth)
    case "and":
    case "or": {
      const decisive = check.kind === "or"
      let isDecided = false
      for (const part of check.parts) {
        if (evaluate(part, question, traces, depth) !== decisive) continue
        isDecided = true
        if (!traces) break
      }
      return isDecided === decisive
    }
  }
}

/** What is hoped for below a `not` is that the check fails. */
function opposite(question: Question): Question {
  return question.hope === undefined ? question : { ...question, hope: !question.hope }
}

function factsOf(check: Check, question: Question): string | undefined {
  if (check.kind === "leaf") return check.facts(question.caller, question.target)
  if (check.kind === "rule" && !question.rule(check.name)) return "there is no such rule"
  return undefined
}

/** The checks from the rule down to what settled it; where several did it together, the last is their `and` or `or`. */
export function decisiveChecks(trace: Trace): Trace[] {
  const parts = trace.parts ?? []
  const isJoined = trace.kind === "and" || trace.kind === "or"
  const canOneSettle = !isJoined || trace.holds === (trace.kind === "or")
  const settled = !canOneSettle ? undefined : isJoined ? parts.find((p) => p.holds === trace.holds) : parts[0]
  return [trace, ...(settled ? decisiveChecks(settled) : [])]
}
