// Which rules a QoS policy may have, and what each says. Operations check by it, the wire reads and shows by it.
import { type TSchema, type TUnsafe, Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { word } from "../../platform/schema/make.ts"
import { qosRuleTypeNotFound } from "./faults.ts"

interface Range {
  min: number
  max: number
}
interface Choices {
  choices: readonly (string | number)[]
}
/** Without a default it must be said. */
export type RuleParameter = (Range | Choices) & { default?: string | number }

export interface RuleValues {
  direction?: string
  maxKbps?: number
  maxBurstKbps?: number
  dscpMark?: number
  minKbps?: number
  maxKpps?: number
  maxBurstKpps?: number
  minKpps?: number
}
export type RuleKey = keyof RuleValues

interface RuleType {
  /** Whether the network's engine can do it: OVN's meters count bits, and nothing holds bandwidth back for a port. */
  isKept: boolean
  parameters: Readonly<Partial<Record<RuleKey, RuleParameter>>>
}

/** What a column holds. */
const most = 2_147_483_647
const any = { min: 0, max: most } as const
const burst = { ...any, default: 0 } as const
const direction = { choices: ["egress", "ingress"], default: "egress" } as const
const marks = [0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56] as const

export const ruleTypes = {
  bandwidth_limit: {
    isKept: true,
    // OVN knows no limit of nothing.
    parameters: { maxKbps: { min: 1, max: most }, maxBurstKbps: burst, direction },
  },
  dscp_marking: { isKept: true, parameters: { dscpMark: { choices: marks } } },
  minimum_bandwidth: { isKept: false, parameters: { minKbps: any, direction } },
  packet_rate_limit: { isKept: false, parameters: { maxKpps: any, maxBurstKpps: burst, direction } },
  minimum_packet_rate: {
    isKept: false,
    parameters: { minKpps: any, direction: { choices: ["any", "egress", "ingress"], default: "egress" } },
  },
} as const satisfies Record<string, RuleType>

export type RuleTypeName = keyof typeof ruleTypes
export const ruleTypeNames = Object.keys(ruleTypes) as readonly RuleTypeName[] // of a literal

export function parametersOf(type: RuleTypeName): [key: RuleKey, parameter: RuleParameter][] {
  // Keys of the literal above.
  return Object.entries(ruleTypes[type].parameters) as [RuleKey, RuleParameter][]
}

/** What operations take; at a creation the default stands for what is not said. */
export function valuesSchema(type: RuleTypeName, how: "create" | "update"): TUnsafe<RuleValues> {
  const members = parametersOf(type).map(([key, parameter]) => {
    const schema = schemaOf(parameter)
    const isNeeded = how === "create" && parameter.default === undefined
    return [key, isNeeded ? schema : Type.Optional(schema)] as const
  })
  const schema = Type.Object(Object.fromEntries(members), { additionalProperties: false })
  return schema as unknown as TUnsafe<RuleValues> // its members are of the keys above
}

function schemaOf(parameter: RuleParameter): TSchema {
  if ("min" in parameter) return Type.Integer({ minimum: parameter.min, maximum: parameter.max })
  const texts = parameter.choices.filter((each) => typeof each === "string")
  if (texts.length > 0) return word(texts)
  return Type.Union(parameter.choices.map((each) => Type.Literal(each)))
}

export interface QosRuleType {
  type: RuleTypeName
  parameters: readonly { key: RuleKey; parameter: RuleParameter }[]
  isKept: boolean
}

const typeOf = (type: RuleTypeName): QosRuleType => ({
  type,
  parameters: parametersOf(type).map(([key, parameter]) => ({ key, parameter })),
  isKept: ruleTypes[type].isKept,
})

/** Those that the engine keeps, or all. */
export const listQosRuleTypes = operation({
  name: "network.qos_rule_type.list",
  input: Type.Object({ isAll: Type.Optional(Type.Boolean()) }),
  rule: "get_rule_type",
  run: async (_ctx, { isAll }) => ruleTypeNames.map(typeOf).filter((type) => isAll || type.isKept),
})

export const getQosRuleType = operation({
  name: "network.qos_rule_type.get",
  input: Type.Object({ type: Type.String({ maxLength: 255 }) }),
  faults: [qosRuleTypeNotFound],
  rule: "get_rule_type",
  run: async (_ctx, { type }) => {
    const found = ruleTypeNames.find((name) => name === type)
    if (!found) throw qosRuleTypeNotFound(type, ruleTypeNames)
    return typeOf(found)
  },
})
