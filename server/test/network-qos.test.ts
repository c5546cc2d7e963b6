// Quality of service over the network API: policies, rules, who has them, and what the engine is told.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import type { WantQos } from "../src/network/driver/network-driver.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { type NetworkCloud, startNetworkCloud } from "./network-cloud.ts"

let c: NetworkCloud
let admin: string
before(async () => {
  c = await startNetworkCloud()
  admin = c.admin
})
after(async () => await c?.[Symbol.asyncDispose]())

const refused: NetworkCloud["refused"] = (...args) => c.refused(...args)
const call = (method: string, path: string, body?: unknown, token = admin) =>
  c.call(method, path, body, { token })

async function good(method: string, path: string, body?: unknown, token = admin) {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

const policy = async (values: object = {}) =>
  (await good("POST", "/qos/policies", { policy: { name: "p", ...values } })).policy
const addRule = (policyId: string, type: string, values: object) =>
  call("POST", `/qos/policies/${policyId}/${type}_rules`, { [`${type}_rule`]: values })
const rule = async (policyId: string, type: string, values: object) => {
  const reply = await addRule(policyId, type, values)
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return reply.body[`${type}_rule`]
}
const demoProject = async () => (await good("GET", "/routers", undefined, c.demo)).routers[0].project_id

/** Until the engine has been told that of it. */
async function told(what: string, qosOf: () => WantQos | null | undefined, wanted: Partial<WantQos> | null) {
  const whole = wanted && { egress: null, ingress: null, dscpMark: null, ...wanted }
  await eventually(what, () => JSON.stringify(sorted(qosOf())) === JSON.stringify(sorted(whole)))
}
const sorted = (qos: WantQos | null | undefined) =>
  qos && [qos.egress?.maxKbps, qos.ingress?.maxKbps, qos.dscpMark]
const portQos = (id: string) => c.cloud.network.want.ports.find((port) => port.id === id)?.qos
const limit = (maxKbps: number) => ({ maxKbps, maxBurstKbits: null })

test("a policy has rules of each type, once in each direction", async () => {
  const {
    id,
    revision_number: revision,
    rules,
    is_default,
    shared,
    tags,
  } = await policy({ description: "d" })
  assert.deepEqual([rules, is_default, shared, tags], [[], false, false, []])
  const out = await rule(id, "bandwidth_limit", { max_kbps: "1000", max_burst_kbps: 800 })
  assert.deepEqual({ ...out, id: "" }, { id: "", max_kbps: 1000, max_burst_kbps: 800, direction: "egress" })
  await rule(id, "bandwidth_limit", { max_kbps: 2000, direction: "ingress" })
  const mark = await rule(id, "dscp_marking", { dscp_mark: 26 })
  const shown = (await good("GET", `/qos/policies/${id}`)).policy
  assert.ok(shown.revision_number > revision)
  assert.deepEqual(shown.rules[0], {
    ...out,
    qos_policy_id: id,
    type: "bandwidth_limit",
  })
  assert.equal(shown.rules.length, 3)
  await refused(addRule(id, "bandwidth_limit", { max_kbps: 5 }), 409, "QoSRulesConflict")
  await refused(addRule(id, "dscp_marking", { dscp_mark: 8 }), 409, "QoSRulesConflict")
  await refused(addRule(id, "minimum_bandwidth", { min_kbps: 1001 }), 409, "QoSRuleParameterConflict")
  assert.match(await refused(addRule(id, "bandwidth_limit", {}), 400, "HTTPBadRequest"), /max_kbps/)
  for (const [type, values] of [
    ["bandwidth_limit", { max_kbps: 0 }],
    ["bandwidth_limit", { max_kbps: 2 ** 31 }],
    ["bandwidth_limit", { max_kbps: 1, direction: "any" }],
    ["dscp_marking", { dscp_mark: 5 }],
  ] as const)
    assert.match(
      await refused(addRule(id, type, values), 400, "HTTPBadRequest"),
      /max_kbps|direction|dscp_mark/,
    )
  await refused(addRule(id, "bandwidth_limit", { max_kbps: "many" }), 400, "InvalidInput")
  const rulePath = `/qos/policies/${id}/bandwidth_limit_rules`
  const put = (path: string, name: string, values: object) => call("PUT", path, { [name]: values })
  const changed = await put(`${rulePath}/${out.id}`, "bandwidth_limit_rule", { max_kbps: 3000 })
  assert.deepEqual(changed.body.bandwidth_limit_rule, { ...out, max_kbps: 3000 })
  const turned = put(`${rulePath}/${out.id}`, "bandwidth_limit_rule", { direction: "ingress" })
  await refused(turned, 409, "QoSRulesConflict")
  const listed = await good("GET", `${rulePath}?direction=egress`)
  assert.deepEqual(listed.bandwidth_limit_rules, [{ ...out, max_kbps: 3000 }])

  const alias = `/qos/alias-dscp-marking-rules/${mark.id}`
  assert.deepEqual((await good("GET", alias)).alias_dscp_marking_rule, mark)
  const remarked = await put(alias, "alias_dscp_marking_rule", { dscp_mark: 46 })
  assert.equal(remarked.body.alias_dscp_marking_rule.dscp_mark, 46)
  assert.equal((await call("DELETE", alias)).status, 204)
  await refused(call("GET", alias), 404, "QosRuleNotFound")
  await refused(call("GET", `/qos/policies/${id}/dscp_marking_rules/${out.id}`), 404, "QosRuleNotFound")
  const other = await policy()
  const strange = call("GET", `/qos/policies/${other.id}/bandwidth_limit_rules/${out.id}`)
  await refused(strange, 404, "QosRuleNotFound")
  await refused(addRule(mark.id, "dscp_marking", { dscp_mark: 8 }), 404, "QosPolicyNotFound")
  const paths = ["minimum-packet-rate-rules", "minimum_packet_rate_rules"].map(
    (p) => `/qos/policies/${other.id}/${p}`,
  )
  await rule(other.id, "minimum_packet_rate", { min_kpps: 5, direction: "any" })
  for (const path of paths) assert.equal((await good("GET", path)).minimum_packet_rate_rules.length, 1)
  await refused(addRule(other.id, "minimum_packet_rate", { min_kpps: 5 }), 409, "QoSRulesConflict")
})

test("types of rules: those that the engine keeps, with what each takes", async () => {
  const types = async (query = "") =>
    (await good("GET", `/qos/rule-types${query}`)).rule_types.map(({ type }: { type: string }) => type)
  assert.deepEqual(await types(), ["bandwidth_limit", "dscp_marking"])
  assert.equal((await types("?all_rules=True")).length, 5)
  const { rule_type: details } = await good("GET", "/qos/rule-types/bandwidth_limit")
  assert.equal(details.drivers[0].name, "ovn")
  const range = {
    parameter_name: "max_kbps",
    parameter_type: "range",
    parameter_values: { start: 1, end: 2147483647 },
  }
  assert.deepEqual(details.drivers[0].supported_parameters[0], range)
  assert.deepEqual((await good("GET", "/qos/rule-types/packet_rate_limit")).rule_type.drivers, [])
  await refused(call("GET", "/qos/rule-types/speed"), 404, "QosRuleTypeNotFound")
  await refused(call("GET", "/qos/rule-types", undefined, c.demo), 403, "PolicyNotAuthorized")
})

test("ports have their own policy or their network's, and the engine follows each change", async () => {
  const slow = await policy({ name: "slow", shared: true })
  const egress = await rule(slow.id, "bandwidth_limit", { max_kbps: 1000 })
  const quick = await policy({ name: "quick", shared: true })
  await rule(quick.id, "bandwidth_limit", { max_kbps: 9000, direction: "ingress" })
  const network = await c.make("network", { name: "n", qos_policy_id: slow.id })
  assert.equal(network.qos_policy_id, slow.id)
  const plain = await c.make("port", { network_id: network.id })
  assert.deepEqual([plain.qos_policy_id, plain.qos_network_policy_id], [null, slow.id])
  const own = await c.make("port", { network_id: network.id, qos_policy_id: quick.id })
  assert.equal(own.qos_policy_id, quick.id)
  await told("the network's policy", () => portQos(plain.id), { egress: limit(1000) })
  await told("its own", () => portQos(own.id), { ingress: limit(9000) })
  const path = `/qos/policies/${slow.id}/bandwidth_limit_rules/${egress.id}`
  await good("PUT", path, { bandwidth_limit_rule: { max_kbps: 500 } })
  await told("the rule's change", () => portQos(plain.id), { egress: limit(500) })
  await rule(slow.id, "dscp_marking", { dscp_mark: 46 })
  await told("the new rule", () => portQos(plain.id), { egress: limit(500), dscpMark: 46 })
  await good("PUT", `/ports/${own.id}`, { port: { qos_policy_id: null } }, c.demo)
  await told("its network's now", () => portQos(own.id), { egress: limit(500), dscpMark: 46 })
  await good("PUT", `/networks/${network.id}`, { network: { qos_policy_id: quick.id } }, c.demo)
  await told("another of the network", () => portQos(plain.id), { ingress: limit(9000) })
  const inUse = await refused(call("DELETE", `/qos/policies/${quick.id}`), 409, "QosPolicyInUse")
  assert.equal(inUse, `QoS Policy ${quick.id} is used by network ${network.id}.`)
  await good("PUT", `/networks/${network.id}`, { network: { qos_policy_id: null } }, c.demo)
  await told("none", () => portQos(plain.id), null)
  for (const id of [slow.id, quick.id])
    assert.equal((await call("DELETE", `/qos/policies/${id}`)).status, 204)
})

test("floating IPs and gateways have one, of their own or of the external network", async () => {
  const { id } = await policy({ shared: true })
  await rule(id, "bandwidth_limit", { max_kbps: 700 })
  const [external] = (await good("GET", "/networks?name=public")).networks
  const router = (info: object) => ({
    router: { external_gateway_info: { network_id: external.id, ...info } },
  })
  const made = await c.make("router", { name: "limited", ...router({ qos_policy_id: id }).router })
  assert.equal(made.external_gateway_info.qos_policy_id, id)
  const gatewayQos = () => c.cloud.network.want.routers.find((each) => each.id === made.id)?.gateway?.qos
  await told("the gateway's", gatewayQos, { egress: limit(700) })
  const kept = await good("PUT", `/routers/${made.id}`, router({}), c.demo)
  assert.equal(kept.router.external_gateway_info.qos_policy_id, id)
  const inUse = await refused(call("DELETE", `/qos/policies/${id}`), 409, "QosPolicyInUse")
  assert.match(inUse, new RegExp(`router ${made.id}`))
  await good("PUT", `/routers/${made.id}`, router({ qos_policy_id: null }), c.demo)
  await told("none", gatewayQos, null)

  const network = await c.make("network", { name: "inside" })
  const subnet = await c.make("subnet", { network_id: network.id, ip_version: 4, cidr: "10.77.0.0/24" })
  await good("PUT", `/routers/${made.id}/add_router_interface`, { subnet_id: subnet.id }, c.demo)
  const port = await c.make("port", { network_id: network.id })
  const floating = { floating_network_id: external.id, port_id: port.id, qos_policy_id: id }
  const fip = await c.make("floatingip", floating)
  assert.deepEqual([fip.qos_policy_id, fip.qos_network_policy_id], [id, null])
  const fipWant = () => c.cloud.network.want.floatingIps.find((each) => each.id === fip.id)
  await told("the floating IP's", () => fipWant()?.qos, { egress: limit(700) })
  assert.equal(
    fipWant()?.gatewayPortId,
    c.cloud.network.want.routers.find((r) => r.id === made.id)?.gateway?.portId,
  )
  const emptied = await good("PUT", `/floatingips/${fip.id}`, { floatingip: { qos_policy_id: null } }, c.demo)
  assert.deepEqual([emptied.floatingip.qos_policy_id, emptied.floatingip.port_id], [null, port.id])
  await good("PUT", `/networks/${external.id}`, { network: { qos_policy_id: id } })
  await told("the external network's, of the floating IP", () => fipWant()?.qos, { egress: limit(700) })
  await told("and of the gateway", gatewayQos, { egress: limit(700) })
  await good("PUT", `/networks/${external.id}`, { network: { qos_policy_id: null } })
  await told("none again", () => fipWant()?.qos, null)
  assert.equal((await call("DELETE", `/qos/policies/${id}`)).status, 204)
})

test("what the engine cannot keep is refused where it would have to", async () => {
  const { id } = await policy({ shared: true })
  const network = await c.make("network", { name: "m" })
  await rule(id, "minimum_bandwidth", { min_kbps: 100 })
  const port = (qos: object) => c.call("POST", "/ports", { port: { network_id: network.id, ...qos } })
  const words = await refused(port({ qos_policy_id: id }), 409, "QosRuleNotSupported")
  assert.match(words, /^Rule minimum_bandwidth is not supported by port [0-9a-f-]+$/)
  const put = c.call("PUT", `/networks/${network.id}`, { network: { qos_policy_id: id } })
  await refused(put, 409, "QosRuleNotSupportedByNetwork")
  const used = await policy({ shared: true })
  await c.make("port", { network_id: network.id, qos_policy_id: used.id })
  await refused(addRule(used.id, "packet_rate_limit", { max_kpps: 5 }), 409, "QosRuleNotSupported")
  await rule(used.id, "dscp_marking", { dscp_mark: 0 })
})

test("whose policies: seen by their project and those they are shared with", async () => {
  const { id } = await policy({ name: "hidden" })
  const network = await c.make("network", { name: "w" })
  const port = (qos: object) => c.call("POST", "/ports", { port: { network_id: network.id, ...qos } })
  await refused(
    call("POST", "/qos/policies", { policy: { name: "mine" } }, c.demo),
    403,
    "PolicyNotAuthorized",
  )
  await refused(call("GET", `/qos/policies/${id}`, undefined, c.demo), 404, "QosPolicyNotFound")
  await refused(port({ qos_policy_id: id }), 404, "QosPolicyNotFound")
  const mine = (await port({})).body.port
  await good("PUT", `/ports/${mine.id}`, { port: { qos_policy_id: id } })
  const away = call("PUT", `/ports/${mine.id}`, { port: { qos_policy_id: null } }, c.demo)
  await refused(away, 403, "PolicyRemoveAuthorizationError")
  await good("PUT", `/ports/${mine.id}`, { port: { qos_policy_id: null } })

  const projectId = await demoProject()
  const share = {
    object_type: "qos_policy",
    object_id: id,
    action: "access_as_shared",
    target_tenant: projectId,
  }
  const { rbac_policy: rbac } = await good("POST", "/rbac-policies", { rbac_policy: share })
  assert.equal((await good("GET", `/qos/policies/${id}`, undefined, c.demo)).policy.shared, true)
  assert.equal((await port({ qos_policy_id: id })).status, 201)
  await refused(call("DELETE", `/rbac-policies/${rbac.id}`), 409, "RbacPolicyInUse")
  await refused(
    call("PUT", `/qos/policies/${id}`, { policy: { name: "x" } }, c.demo),
    403,
    "PolicyNotAuthorized",
  )
  await refused(
    call("POST", `/qos/policies/${id}/dscp_marking_rules`, { dscp_marking_rule: { dscp_mark: 8 } }, c.demo),
    403,
    "PolicyNotAuthorized",
  )
  await good("PUT", `/policies/${id}/tags/gold`)
  assert.deepEqual((await good("GET", `/qos/policies/${id}/tags`)).tags, ["gold"])
  assert.equal((await good("GET", "/qos/policies?tags=gold")).policies.length, 1)
})

test("a project's default policy comes with its new networks", async () => {
  const projectId = await demoProject()
  const first = await policy({ project_id: projectId, is_default: true })
  const second = { policy: { name: "second", project_id: projectId, is_default: true } }
  await refused(call("POST", "/qos/policies", second), 409, "QoSPolicyDefaultAlreadyExists")
  const other = await policy({ project_id: projectId })
  const put = call("PUT", `/qos/policies/${other.id}`, { policy: { is_default: true } })
  await refused(put, 409, "QoSPolicyDefaultAlreadyExists")
  const network = await c.make("network", { name: "with the default" })
  assert.equal(network.qos_policy_id, first.id)
  await good("PUT", `/qos/policies/${first.id}`, { policy: { is_default: false } })
  assert.equal((await c.make("network", { name: "without" })).qos_policy_id, null)
})
