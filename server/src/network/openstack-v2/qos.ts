// Quality of service: policies, their rules (below the policy, and by their own id alone), types of rules.
import { queryText } from "../../platform/http/query.ts"
import { type JsonSchema, type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { querySchema } from "../../platform/noun/query-schema.ts"
import {
  createQosPolicies,
  deleteQosPolicy,
  getQosPolicy,
  getQosRuleType,
  listQosPolicies,
  listQosRuleTypes,
  parametersOf,
  type QosRule,
  type QosRuleType,
  qosPolicyNoun,
  qosRuleVerbs,
  type RuleParameter,
  type RuleTypeName,
  type RuleValues,
  ruleTypeNames,
  updateQosPolicy,
} from "../index.ts"
import { type Attribute, type Attributes, readCreate, readUpdate, viewThing } from "./attributes.ts"
import { answerSchema, fieldsQuery, inputSchema, listQuery, pageSchema, wrapped } from "./describe.ts"
import { boolean, type Kind, numberAmong, oneOf, ranged, uuid } from "./kinds.ts"
import { readFields, readList } from "./query.ts"
import { resource, resourceRoutes } from "./resource.ts"

const snake = (key: string) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

function kindOf(parameter: RuleParameter): Kind {
  if ("min" in parameter) return ranged(parameter.min, parameter.max)
  return typeof parameter.choices[0] === "number" ? numberAmong(parameter.choices) : oneOf(parameter.choices)
}

/** A rule's JSON by its type. */
function attributesOf(type: RuleTypeName): Attributes<QosRule> {
  const listed = { sort: true, shows: uuid.schema }
  const attributes: Record<string, Attribute<QosRule>> = {
    id: { kind: uuid, key: "id", filter: "id", ...listed },
  }
  for (const [key, parameter] of parametersOf(type)) {
    const kind = kindOf(parameter)
    const required = parameter.default === undefined
    attributes[snake(key)] = {
      kind,
      key,
      post: true,
      put: true,
      required,
      filter: key,
      sort: true,
      shows: kind.schema,
    }
  }
  return attributes
}

const shapes = new Map(ruleTypeNames.map((type) => [type, attributesOf(type)]))
const shapeOf = (type: RuleTypeName) => shapes.get(type) ?? {}

const ruleInPolicy: JsonSchema = {
  type: "object",
  properties: {
    id: uuid.schema,
    qos_policy_id: uuid.schema,
    type: { type: "string", enum: ruleTypeNames },
    ...Object.assign({}, ...ruleTypeNames.map((type) => shownOf(type))),
  },
}

function shownOf(type: RuleTypeName): Record<string, JsonSchema> {
  return Object.fromEntries(
    parametersOf(type).map(([key, parameter]) => [snake(key), kindOf(parameter).schema]),
  )
}

function viewRuleInPolicy(rule: QosRule): Record<string, unknown> {
  const said = parametersOf(rule.type).map(([key]) => [snake(key), rule[key]])
  return { id: rule.id, qos_policy_id: rule.qosPolicyId, type: rule.type, ...Object.fromEntries(said) }
}

const policyRoutes = resourceRoutes(
  resource({
    noun: qosPolicyNoun,
    singular: "policy",
    plural: "policies",
    path: "/qos/policies",
    particulars: {
      rules: {
        kind: { schema: { type: "array", items: ruleInPolicy }, read: (value) => value },
        view: (policy) => policy.rules.map(viewRuleInPolicy),
      },
    },
    list: listQosPolicies,
    get: getQosPolicy,
    create: createQosPolicies,
    update: updateQosPolicy,
    remove: deleteQosPolicy,
  }),
)

/** The three verbs on one rule, by either of its paths. */
function ruleRoutes(type: RuleTypeName, by: "policy" | "alias", path: string): Route[] {
  const verbs = by === "alias" ? qosRuleVerbs[type].alias : qosRuleVerbs[type]
  const singular = by === "alias" ? `alias_${type}_rule` : `${type}_rule`
  const attributes = shapeOf(type)
  const described = {
    noun: { name: `network.qos_${singular}` },
    singular,
    plural: `${singular}s`,
    attributes,
  }
  const answer = answerSchema(described)
  const named = ({ params }: WireRequest) => ({
    ruleId: params[`${type}_rule_id`] ?? "",
    ...(params.policy_id === undefined ? {} : { policyId: params.policy_id }),
  })
  const one = `${path}/{${type}_rule_id}`
  return [
    route({
      method: "GET",
      path: one,
      operation: verbs.get,
      told: { query: fieldsQuery, answer },
      handler: async (ctx, req) => {
        const rule = await verbs.get(ctx, named(req))
        return { [singular]: viewThing(ctx, rule, attributes, undefined, readFields(req.query)) }
      },
    }),
    route({
      method: "PUT",
      path: one,
      operation: verbs.update,
      told: { body: wrapped(singular, inputSchema(described, "put")), answer },
      handler: async (ctx, req) => {
        // The attributes are the type's, and the operation checks what they have read.
        const values = readUpdate(req.body, singular, attributes) as RuleValues
        const rule = await verbs.update(ctx, { ...named(req), values })
        return { [singular]: viewThing(ctx, rule, attributes, undefined, undefined) }
      },
    }),
    route({
      method: "DELETE",
      path: one,
      operation: verbs.remove,
      handler: async (ctx, req) => {
        await verbs.remove(ctx, named(req))
      },
    }),
  ]
}

function rulesOfPolicyRoutes(type: RuleTypeName, path: string): Route[] {
  const verbs = qosRuleVerbs[type]
  const singular = `${type}_rule`
  const plural = `${singular}s`
  const attributes = shapeOf(type)
  const described = { noun: { name: `network.qos_${singular}` }, singular, plural, attributes }
  return [
    route({
      method: "GET",
      path,
      operation: verbs.list,
      told: { query: listQuery(described, []), answer: pageSchema(described) },
      handler: async (ctx, req) => {
        const { filters } = readList(ctx, req.query, attributes)
        const rules = await verbs.list(ctx, { policyId: req.params.policy_id ?? "" })
        const fields = readFields(req.query)
        const found = rules.filter((rule) =>
          Object.entries(filters).every(([key, values]) =>
            values.some((value) => String(value) === String(Reflect.get(rule, key))),
          ),
        )
        return { [plural]: found.map((rule) => viewThing(ctx, rule, attributes, undefined, fields)) }
      },
    }),
    route({
      method: "POST",
      path,
      operation: verbs.create,
      told: { body: wrapped(singular, inputSchema(described, "post")), answer: answerSchema(described) },
      handler: async (ctx, req) => {
        const { inputs } = readCreate(req.body, { singular, plural, takesMany: false }, attributes)
        // As above.
        const values = (inputs[0] ?? {}) as RuleValues
        const rule = await verbs.create(ctx, { policyId: req.params.policy_id ?? "", values })
        return { [singular]: viewThing(ctx, rule, attributes, undefined, undefined) }
      },
    }),
    ...ruleRoutes(type, "policy", path),
  ]
}

/** Below a policy; two of them Neutron has at a second place too. */
const otherPaths: Partial<Record<RuleTypeName, string>> = {
  minimum_packet_rate: "/qos/policies/{policy_id}/minimum-packet-rate-rules",
  packet_rate_limit: "/policies/{policy_id}/packet_rate_limit_rules",
}
const pathsOf = (type: RuleTypeName) =>
  [`/qos/policies/{policy_id}/${type}_rules`, otherPaths[type]].filter((path) => path !== undefined)

const named = { type: "string" }
const parameterShown: JsonSchema = {
  type: "object",
  properties: { parameter_name: named, parameter_type: named, parameter_values: {} },
}
const detailsShown: JsonSchema = {
  title: "QosRuleTypeDetails",
  type: "object",
  properties: {
    type: named,
    drivers: {
      type: "array",
      items: {
        type: "object",
        properties: { name: named, supported_parameters: { type: "array", items: parameterShown } },
      },
    },
  },
}
const typeShown: JsonSchema = { title: "QosRuleType", type: "object", properties: { type: named } }

function viewParameter({ key, parameter }: QosRuleType["parameters"][number]) {
  const isRange = "min" in parameter
  return {
    parameter_name: snake(key),
    parameter_type: isRange ? "range" : "choices",
    parameter_values: isRange ? { start: parameter.min, end: parameter.max } : parameter.choices,
  }
}

function asksAll(req: WireRequest): boolean {
  return boolean.read(queryText(req.query, "all_rules") ?? "false", "all_rules") === true
}

const ruleTypeRoutes: Route[] = [
  route({
    method: "GET",
    path: "/qos/rule-types",
    operation: listQosRuleTypes,
    told: {
      query: querySchema({ all_rules: { type: "boolean" }, all_supported: { type: "boolean" } }),
      answer: {
        title: "QosRuleTypes",
        ...wrapped("rule_types", { type: "array", items: typeShown }),
      },
    },
    handler: async (ctx, req) => ({
      rule_types: (await listQosRuleTypes(ctx, { isAll: asksAll(req) })).map(({ type }) => ({ type })),
    }),
  }),
  route({
    method: "GET",
    path: "/qos/rule-types/{rule_type}",
    operation: getQosRuleType,
    told: { answer: { title: "QosRuleTypeAnswer", ...wrapped("rule_type", detailsShown) } },
    handler: async (ctx, req) => {
      const { type, parameters, isKept } = await getQosRuleType(ctx, { type: req.params.rule_type ?? "" })
      const driver = { name: "ovn", supported_parameters: parameters.map(viewParameter) }
      return { rule_type: { type, drivers: isKept ? [driver] : [] } }
    },
  }),
]

export const qosRoutes: Route[] = [
  ...policyRoutes,
  ...ruleTypeNames.flatMap((type) => pathsOf(type).flatMap((path) => rulesOfPolicyRoutes(type, path))),
  ...ruleTypeNames.flatMap((type) =>
    ruleRoutes(type, "alias", `/qos/alias-${type.replaceAll("_", "-")}-rules`),
  ),
  ...ruleTypeRoutes,
]
