// Audit records in the form of CADF (DSP0262) as pyCADF writes it, which is what Keystone's notifications carry. Pure.
import type { Ctx } from "../../platform/context/context.ts"
import { newUuid } from "../../platform/ids/ids.ts"

export type Outcome = "success" | "failure" | "pending"

export interface CadfResource {
  typeURI: string
  id: string
  [more: string]: unknown
}

export interface CadfEvent {
  typeURI: "http://schemas.dmtf.org/cloud/audit/1.0/event"
  eventType: "activity"
  id: string
  eventTime: string
  action: string
  outcome: Outcome
  initiator: CadfResource
  target: CadfResource
  observer: CadfResource
  reason?: { reasonType: string; reasonCode: string }
  [more: string]: unknown
}

export const accountUser = "service/security/account/user"

const targetTypes: Readonly<Record<string, string>> = {
  user: "data/security/account/user",
  group: "data/security/group",
  project: "data/security/project",
  "project tag": "data/security/project",
  domain: "data/security/domain",
  domain_config: "data/security/domain",
  role: "data/security/role",
  implied_role: "data/security/role",
  region: "data/security/region",
  service: "data/security/service",
  endpoint: "data/security/endpoint",
  endpoint_group: "data/security/endpoint",
  policy: "data/security/policy",
  policy_association: "data/security/policy",
  credential: "data/security/credential",
  application_credential: "data/security/credential",
  access_rule: "data/security/credential",
  token: "data/security/credential",
  fernet_key: "data/security/key",
  "OS-TRUST:trust": "data/security/trust",
  "OS-OAUTH1:consumer": "data/security/account",
  "OS-OAUTH1:request_token": "data/security/credential",
  "OS-OAUTH1:access_token": "data/security/credential",
}

export function targetOf(noun: string, id: string): CadfResource {
  return { typeURI: targetTypes[noun] ?? "unknown", id }
}

/** Who asks, from where. `known` overrides what the token says, at a login where there is none. */
export function initiatorOf(
  ctx: Ctx,
  known: { userId?: string | null; userName?: string | null; credential?: Record<string, unknown> } = {},
): CadfResource {
  const { caller, client } = ctx
  const userId = known.userId ?? (caller.userId || null)
  const name = known.userName ?? (caller.userName || null)
  const credential = known.credential ?? credentialOf(ctx)
  return {
    typeURI: accountUser,
    id: userId ?? newUuid(),
    ...(userId ? { user_id: userId } : {}),
    // Two spellings: pyCADF's, and Keystone's of before.
    ...(name ? { name, username: name } : {}),
    ...(caller.projectId ? { project_id: caller.projectId } : {}),
    ...(caller.domainId ? { domain_id: caller.domainId } : {}),
    ...(client
      ? { host: { address: client.address, ...(client.agent ? { agent: client.agent } : {}) } }
      : {}),
    ...(credential ? { credential } : {}),
    request_id: ctx.requestId,
    ...(client?.globalRequestId ? { global_request_id: client.globalRequestId } : {}),
  }
}

/** By what right: the audit id leads to the login's record, and a delegation says who acts for the user. */
function credentialOf({ caller: { token } }: Ctx): Record<string, unknown> | null {
  if (!token) return null
  return {
    type: token.methods.join("+"),
    token: token.auditIds[0] ?? "",
    ...(token.trustId ? { trust_id: token.trustId } : {}),
    ...(token.accessTokenId ? { access_token_id: token.accessTokenId } : {}),
    ...(token.applicationCredentialId ? { application_credential_id: token.applicationCredentialId } : {}),
  }
}

export function cadfEvent(
  at: Date,
  facts: Pick<CadfEvent, "action" | "outcome" | "initiator" | "target"> & {
    observerId: string
    reason?: { text: string; status: number } | null
    more?: Record<string, unknown>
  },
): CadfEvent {
  const { action, outcome, initiator, target, observerId, reason, more } = facts
  return {
    typeURI: "http://schemas.dmtf.org/cloud/audit/1.0/event",
    eventType: "activity",
    id: newUuid(),
    // Microseconds and the zone, as pyCADF has them.
    eventTime: `${at.toISOString().replace("Z", "")}000+0000`,
    action,
    outcome,
    initiator,
    target,
    observer: { typeURI: "service/security", id: observerId },
    ...(reason ? { reason: { reasonType: reason.text, reasonCode: String(reason.status) } } : {}),
    ...more,
  }
}
