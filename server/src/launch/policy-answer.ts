// The running cloud's side of `kumoi policy`: the rules in force, and why one of them decides as it does.
import { Type } from "typebox"
import { Compile } from "typebox/compile"
import { findStanding, type Standing } from "../identity/index.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"
import { decisiveChecks, type Trace } from "../platform/policy/evaluate.ts"
import type { EffectiveRule, PolicyDecision, PolicyEngine } from "../platform/policy/policy.ts"
import type { PolicyTarget } from "../platform/policy/rule.ts"

const Text = Type.String()

const PolicyQuestion = Type.Union([
  Type.Object({ ask: Type.Literal("list") }),
  Type.Object({
    ask: Type.Literal("explain"),
    user: Text,
    userDomain: Text,
    scope: Type.Union([
      Type.Object({ kind: Type.Literal("default") }),
      Type.Object({ kind: Type.Literal("system") }),
      Type.Object({ kind: Type.Literal("domain"), domain: Text }),
      Type.Object({ kind: Type.Literal("project"), project: Text, domain: Text }),
    ]),
    rule: Text,
    /** Null: the caller's own. */
    target: Type.Union([Type.Null(), Type.Record(Text, Text)]),
  }),
])
export type PolicyQuestion = Type.Static<typeof PolicyQuestion>
type Explain = Extract<PolicyQuestion, { ask: "explain" }>

export interface PolicyExplanation {
  isAllowed: boolean
  user: { id: string | null; name: string }
  scope: string
  roles: Standing["roles"]
  /** Why there is no token of that scope for the user; then nothing is decided. */
  refusal: string | null
  target: PolicyTarget
  isTargetGiven: boolean
  decision: (PolicyDecision & { decidedBy: Trace[] }) | null
}

const question = Compile(PolicyQuestion)

export async function answerPolicy(
  platform: Platform,
  asked: unknown,
): Promise<EffectiveRule[] | PolicyExplanation> {
  if (!question.Check(asked)) throw new Fault("invalid", "cli.policy.bad_question", "That is no question.")
  return asked.ask === "list" ? platform.policy.list() : await explain(platform, asked)
}

async function explain(platform: Platform, asked: Explain): Promise<PolicyExplanation> {
  const { policy } = platform
  if (!policy.has(asked.rule)) throw noSuchRule(policy, asked.rule)
  const { caller, userName, scope, roles, refusal } = await findStanding(platform, asked)
  const own = caller ? { project_id: caller.projectId, user_id: caller.userId } : {}
  const target = asked.target ?? own
  const decision = caller && policy.explain(caller, asked.rule, target)
  return {
    isAllowed: decision?.isAllowed ?? false,
    user: { id: caller?.userId ?? null, name: userName },
    scope,
    roles,
    refusal,
    target,
    isTargetGiven: asked.target !== null,
    decision: decision && { ...decision, decidedBy: decisiveChecks(decision.trace) },
  }
}

const similarMost = 5

function noSuchRule(policy: PolicyEngine, rule: string): Fault {
  const word = rule.split(":").at(-1) ?? rule
  const similar = policy
    .list()
    .map(({ name }) => name)
    .filter((name) => word.length > 2 && name.includes(word))
    .slice(0, similarMost)
  const hint = similar.length > 0 ? `Did you mean ${similar.join(", ")}?` : "./kumoi policy list shows all."
  return new Fault("not_found", "cli.policy.no_rule", `There is no policy rule ${rule}. ${hint}`)
}
