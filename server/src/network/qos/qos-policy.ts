// QoS policies: rules under one name, for networks, ports, floating IPs and gateways of routers.
import { sql } from "kysely"
import { Type } from "typebox"
import type { DbOrTx } from "../../platform/db/database.ts"
import { boolean, structure, text } from "../../platform/noun/field.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { word } from "../../platform/schema/make.ts"
import { descriptionField, ownedFields, tagFields } from "../resource/standard.ts"
import { everything, sharedWith, type Viewer, viewerOf } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"
import { qosPolicyNotFound } from "./faults.ts"
import { ruleTypeNames } from "./rule-types.ts"

const Number_ = Type.Union([Type.Integer(), Type.Null()])

/** Null is what a rule of its type does not say. */
export const QosRule = Type.Object({
  id: Type.String(),
  qosPolicyId: Type.String(),
  type: word(ruleTypeNames),
  direction: Type.Union([Type.String(), Type.Null()]),
  maxKbps: Number_,
  maxBurstKbps: Number_,
  dscpMark: Number_,
  minKbps: Number_,
  maxKpps: Number_,
  maxBurstKpps: Number_,
  minKpps: Number_,
})
export type QosRule = Type.Static<typeof QosRule>

export const qosPolicyNoun = noun({
  name: "network.qos_policy",
  table: sql`network.qos_policy`,
  alias: "q",
  fields: {
    ...ownedFields("q"),
    description: descriptionField("q"),
    ...tagFields("q"),
    name: text(sql`q.name`, { create: true, update: true, filter: true, sort: true }),
    isDefault: boolean(sql`q.is_default`, { create: true, update: true, filter: true }),
    shared: boolean((viewer: Viewer) => sharedWith(viewer, "qos_policy", sql`q.id`), {
      create: true,
      update: true,
      filter: true,
    }),
    rules: structure(
      Type.Array(QosRule),
      sql`(select coalesce(json_agg(json_build_object('id', r.id, 'qosPolicyId', r.qos_policy_id, 'type', r.type,
          'direction', r.direction, 'maxKbps', r.max_kbps, 'maxBurstKbps', r.max_burst_kbps,
          'dscpMark', r.dscp_mark, 'minKbps', r.min_kbps, 'maxKpps', r.max_kpps,
          'maxBurstKpps', r.max_burst_kpps, 'minKpps', r.min_kpps) order by r.created_at, r.id), '[]')
        from network.qos_rule r where r.qos_policy_id = q.id)`,
    ),
  },
  visible: (viewer: Viewer) =>
    visibleTo(viewer, {
      owner: sql`q.project_id`,
      shared: { objectType: "qos_policy", objectId: sql`q.id` },
    }),
  notFound: qosPolicyNotFound,
})

export type QosPolicy = Thing<typeof qosPolicyNoun>

export function qosPolicyTarget(policy: Pick<QosPolicy, "projectId" | "shared">): PolicyTarget {
  return { project_id: policy.projectId, tenant_id: policy.projectId, shared: policy.shared }
}

export async function loadQosPolicy(db: DbOrTx, id: string, viewer: Viewer = everything): Promise<QosPolicy> {
  return await loadThing(db, qosPolicyNoun, viewer, id)
}

const asked = { viewer: viewerOf, rule: "get_policy", target: qosPolicyTarget }

export const getQosPolicy = getOf(qosPolicyNoun, asked)
export const listQosPolicies = listOf(qosPolicyNoun, asked)
