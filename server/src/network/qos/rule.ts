// Rules of QoS policies: one of each type and direction. Found by their policy, or by their own id alone.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { bumpRevision, change, lockRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import {
  qosParameterConflict,
  qosPolicyNotFound,
  qosRuleNotFound,
  qosRuleNotSupported,
  qosRuleNotSupportedByNetwork,
  qosRulesConflict,
} from "./faults.ts"
import { loadQosPolicy, type QosPolicy, type QosRule, qosPolicyTarget } from "./qos-policy.ts"
import {
  parametersOf,
  type RuleTypeName,
  type RuleValues,
  ruleTypeNames,
  ruleTypes,
  valuesSchema,
} from "./rule-types.ts"
import { notSupported, userOfQosPolicy } from "./use.ts"

interface Found {
  policy: QosPolicy
  rule: QosRule
}

const target = (_ctx: Ctx, _input: unknown, { policy }: { policy: QosPolicy }) => qosPolicyTarget(policy)

/** Of the named policy, or of the rule's own. */
async function findRule(ctx: Ctx, type: RuleTypeName, ruleId: string, policyId?: string): Promise<Found> {
  const id = policyId ?? (await policyOfRule(ctx, ruleId))
  const missing = () => qosRuleNotFound(ruleId, policyId)
  if (id === undefined) throw missing()
  const policy = await loadQosPolicy(ctx.db, id, viewerOf(ctx)).catch((error: unknown) => {
    throw policyId === undefined && qosPolicyNotFound.is(error) ? missing() : error
  })
  const rule = policy.rules.find((each) => each.id === ruleId && each.type === type)
  if (!rule) throw missing()
  return { policy, rule }
}

async function policyOfRule(ctx: Ctx, ruleId: string): Promise<string | undefined> {
  if (!isUuid(ruleId)) return undefined
  const { rows } = await sql<{ id: string }>`select qos_policy_id as id from network.qos_rule
    where id = ${ruleId}`.execute(ctx.db)
  return rows[0]?.id
}

const changeFaults = [
  qosPolicyNotFound,
  qosRulesConflict,
  qosParameterConflict,
  qosRuleNotSupported,
  qosRuleNotSupportedByNetwork,
]

/** The verbs of one rule that is there. `by`: how it is named in the paths. */
function verbsOfOne(type: RuleTypeName, by: "policy" | "alias") {
  const name = `network.qos_${by === "alias" ? "alias_" : ""}${type}_rule`
  const Named = { ruleId: Type.String(), policyId: Type.Optional(Type.String()) }
  const faults = [qosPolicyNotFound, qosRuleNotFound]
  const load = (ctx: Ctx, { ruleId, policyId }: { ruleId: string; policyId?: string | undefined }) =>
    findRule(ctx, type, ruleId, policyId)
  return {
    get: operation({
      name: `${name}.get`,
      input: Type.Object(Named),
      faults,
      load,
      rule: `get_${by}_${type}_rule`,
      target,
      run: async (_ctx, _input, { rule }) => rule,
    }),
    update: operation({
      name: `${name}.update`,
      input: Type.Object({ ...Named, values: valuesSchema(type, "update") }),
      faults: [...faults, ...changeFaults],
      load,
      rule: `update_${by}_${type}_rule`,
      target,
      run: async (ctx, { ruleId, values }, { policy }) =>
        await change(ctx, async (tx) => {
          const { rules } = await takePolicy(tx, policy.id)
          const rule = rules.find((each) => each.id === ruleId)
          if (!rule) throw qosRuleNotFound(ruleId, policy.id)
          const next = { ...rule, ...values }
          checkAmong(rules, next)
          await tx.updateTable("network.qos_rule").set(columnsOf(next)).where("id", "=", ruleId).execute()
          return next
        }),
    }),
    remove: operation({
      name: `${name}.delete`,
      input: Type.Object(Named),
      faults,
      load,
      rule: `delete_${by}_${type}_rule`,
      target,
      run: async (ctx, { ruleId }, { policy }) =>
        await change(ctx, async (tx) => {
          await takePolicy(tx, policy.id)
          const { rows } = await sql`delete from network.qos_rule where id = ${ruleId} returning id`.execute(
            tx,
          )
          if (rows.length === 0) throw qosRuleNotFound(ruleId, policy.id)
        }),
    }),
  }
}

function verbsOf(type: RuleTypeName) {
  const name = `network.qos_${type}_rule`
  const InPolicy = { policyId: Type.String() }
  const load = async (ctx: Ctx, { policyId }: { policyId: string }) => ({
    policy: await loadQosPolicy(ctx.db, policyId, viewerOf(ctx)),
  })
  return {
    /** All of them: there are two at the most. */
    list: operation({
      name: `${name}.list`,
      input: Type.Object(InPolicy),
      faults: [qosPolicyNotFound],
      load,
      rule: `get_policy_${type}_rule`,
      target,
      run: async (_ctx, _input, { policy }) => policy.rules.filter((rule) => rule.type === type),
    }),
    create: operation({
      name: `${name}.create`,
      input: Type.Object({ ...InPolicy, values: valuesSchema(type, "create") }),
      faults: changeFaults,
      load,
      rule: `create_policy_${type}_rule`,
      target,
      run: async (ctx, { policyId, values }) =>
        await change(ctx, async (tx) => {
          const { rules } = await takePolicy(tx, policyId)
          const rule: QosRule = {
            ...unsaid,
            id: newUuid(),
            qosPolicyId: policyId,
            type,
            ...defaultsOf(type),
            ...values,
          }
          checkAmong(rules, rule)
          const user = ruleTypes[type].isKept ? undefined : await userOfQosPolicy(tx, policyId)
          if (user) throw notSupported(type, user)
          await tx
            .insertInto("network.qos_rule")
            .values({ id: rule.id, qos_policy_id: policyId, type, ...columnsOf(rule) })
            .execute()
          return rule
        }),
    }),
    ...verbsOfOne(type, "policy"),
    alias: verbsOfOne(type, "alias"),
  }
}

export type QosRuleVerbs = ReturnType<typeof verbsOf>

/** What can be done with the rules of each type. */
export const qosRuleVerbs = Object.fromEntries(
  ruleTypeNames.map((type) => [type, verbsOf(type)]),
) as Readonly<Record<RuleTypeName, QosRuleVerbs>> // of all its keys

/** Takes the policy for this transaction: its rules change, and so does what everybody has who uses it. */
async function takePolicy(tx: Tx, policyId: string): Promise<QosPolicy> {
  await lockRow(tx, "qosPolicy", policyId, qosPolicyNotFound)
  await bumpRevision(tx, "qosPolicy", [policyId])
  noteChanged(tx, { qosPolicies: [policyId] })
  return await loadQosPolicy(tx, policyId)
}

const unsaid = {
  direction: null,
  maxKbps: null,
  maxBurstKbps: null,
  dscpMark: null,
  minKbps: null,
  maxKpps: null,
  maxBurstKpps: null,
  minKpps: null,
}

function defaultsOf(type: RuleTypeName): RuleValues {
  return Object.fromEntries(
    parametersOf(type).flatMap(([key, parameter]) =>
      parameter.default === undefined ? [] : [[key, parameter.default]],
    ),
  )
}

function columnsOf(rule: QosRule) {
  return {
    direction: rule.direction,
    max_kbps: rule.maxKbps,
    max_burst_kbps: rule.maxBurstKbps,
    dscp_mark: rule.dscpMark,
    min_kbps: rule.minKbps,
    max_kpps: rule.maxKpps,
    max_burst_kpps: rule.maxBurstKpps,
    min_kpps: rule.minKpps,
  }
}

/** One of a type in each direction, and none that asks for more than another lets through. */
function checkAmong(rules: readonly QosRule[], rule: QosRule): void {
  for (const other of rules) {
    if (other.id === rule.id) continue
    if (other.type === rule.type && meets(other.direction, rule.direction))
      throw qosRulesConflict(rule.type, other.id, rule.qosPolicyId)
    for (const [most, least] of [
      ["maxKbps", "minKbps"],
      ["maxKpps", "minKpps"],
    ] as const) {
      checkPair(rule, other, rule[most], other[least], "above")
      checkPair(rule, other, rule[least], other[most], "below")
    }
  }
}

const meets = (a: string | null, b: string | null) => a === b || a === "any" || b === "any"

function checkPair(
  rule: QosRule,
  other: QosRule,
  value: number | null,
  existing: number | null,
  must: "above" | "below",
): void {
  if (value === null || existing === null || !meets(rule.direction, other.direction)) return
  const isRight = must === "above" ? value >= existing : value <= existing
  if (!isRight) throw qosParameterConflict(value, rule.qosPolicyId, other.type, existing)
}
