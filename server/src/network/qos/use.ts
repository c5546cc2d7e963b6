// Who has a QoS policy: networks, ports (gateways of routers among them), floating IPs.
import { type RawBuilder, sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { viewerOf } from "../resource/viewer.ts"
import {
  qosPolicyInUse,
  qosPolicyNotFound,
  qosRemovalForbidden,
  qosRuleNotSupported,
  qosRuleNotSupportedByNetwork,
} from "./faults.ts"
import { qosPolicyNoun } from "./qos-policy.ts"
import { ruleTypeNames, ruleTypes } from "./rule-types.ts"

export type PolicyUser = "network" | "port" | "floating IP" | "router"

/** Faults of whoever gives something a policy. */
export const policyFaults = [
  qosPolicyNotFound,
  qosRuleNotSupported,
  qosRuleNotSupportedByNetwork,
  qosRemovalForbidden,
]

const unkept = ruleTypeNames.filter((type) => !ruleTypes[type].isKept)

interface Taking {
  /** Undefined: as it is; null: none. */
  wanted: string | null | undefined
  /** What it has now. */
  current?: string | null
  user: { noun: PolicyUser; id: string }
}

/**
 * The policy that something gets: one that the caller sees, with rules that the engine keeps. Nobody deletes it or
 * gives it another rule before the transaction ends.
 */
export async function takeQosPolicy(
  ctx: Ctx,
  tx: Tx,
  { wanted, current = null, user }: Taking,
): Promise<string | null | undefined> {
  if (wanted === undefined || wanted === current) return wanted
  // Whoever gave it that policy alone may take it away.
  if (current !== null && !(await findThing(tx, qosPolicyNoun, viewerOf(ctx), current)))
    throw qosRemovalForbidden(current)
  if (wanted === null) return null
  if (!(await findThing(tx, qosPolicyNoun, viewerOf(ctx), wanted))) throw qosPolicyNotFound(wanted)
  return await holdQosPolicy(tx, wanted, user)
}

/** The default of the project, for a new network of its own: part of its row's statement, as few projects have one. */
export function defaultQosPolicy(projectId: string): RawBuilder<string | null> {
  return sql`(select id from network.qos_policy where project_id = ${projectId} and is_default for share)`
}

/** Nobody deletes it or gives it another rule before the transaction ends; it has none that is not kept. */
export async function holdQosPolicy(tx: Tx, policyId: string, user: Taking["user"]): Promise<string> {
  const { rows } = await sql`select from network.qos_policy where id = ${policyId} for share`.execute(tx)
  if (rows.length === 0) throw qosPolicyNotFound(policyId)
  const found = await sql<{ type: string }>`select type from network.qos_rule
    where qos_policy_id = ${policyId} and type = any(${unkept}::text[]) order by type limit 1`.execute(tx)
  if (found.rows[0]) throw notSupported(found.rows[0].type, user)
  return policyId
}

export function notSupported(type: string, { noun, id }: Taking["user"]) {
  return noun === "network"
    ? qosRuleNotSupportedByNetwork(type, id)
    : qosRuleNotSupported(type, `${noun} ${id}`)
}

/** Rows of `noun`, `id` and the project that it is of; those that have it by their network are not among them. */
export function usersOfQosPolicy(policyId: string): RawBuilder<unknown> {
  return sql`select 'network' as noun, id::text, project_id from network.network where qos_policy_id = ${policyId}
    union all select 'port', id::text, project_id from network.port where qos_policy_id = ${policyId}
      and device_owner <> 'network:router_gateway'
    union all select 'router', p.device_id, r.project_id from network.port p
      join network.router r on r.id::text = p.device_id
      where p.qos_policy_id = ${policyId} and p.device_owner = 'network:router_gateway'
    union all select 'floating IP', id::text, project_id from network.floating_ip where qos_policy_id = ${policyId}`
}

/** One of those that have the policy. */
export async function userOfQosPolicy(tx: Tx, policyId: string): Promise<Taking["user"] | undefined> {
  const { rows } = await sql<
    Taking["user"]
  >`select noun, id from (${usersOfQosPolicy(policyId)}) u limit 1`.execute(tx)
  return rows[0]
}

export async function checkQosPolicyUnused(tx: Tx, policyId: string): Promise<void> {
  const user = await userOfQosPolicy(tx, policyId)
  if (user) throw qosPolicyInUse(policyId, user.noun, user.id)
}
