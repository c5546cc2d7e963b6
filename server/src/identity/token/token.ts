// A token as it stands now: the payload's claims, judged by the facts of the database. Pure.
import type { Caller } from "../../platform/auth/caller.ts"
import type {
  AccessTokenFacts,
  ApplicationCredentialFacts,
  PersonFacts,
  ProjectFacts,
  RoleRef,
  TokenFacts,
  TrustFacts,
} from "./facts.ts"
import type { TokenPayload } from "./payload.ts"

export interface Token {
  id: string
  payload: TokenPayload
  /** Whom the token stands for: the trustor when a trust impersonates. */
  user: PersonFacts
  /** Set for project scope. */
  project: ProjectFacts | null
  /** Set for domain scope. */
  domain: ProjectFacts | null
  isSystem: boolean
  roles: readonly RoleRef[]
  trust: TrustFacts | null
  applicationCredential: ApplicationCredentialFacts | null
  accessToken: AccessTokenFacts | null
}

/** The token, or in one word why it is none (for the log; clients are not told). */
export function judgeToken(id: string, payload: TokenPayload, facts: TokenFacts): Token | string {
  const { user, trustor } = facts
  if (!user || !isActive(user)) return "the user is gone or disabled"
  if (facts.is_revoked) return "revoked"
  if (payload.epoch !== user.epoch + (trustor?.epoch ?? 0)) return "the user's tokens were revoked"
  if (payload.trustId) {
    const why = trustFlaw(payload, facts)
    if (why) return why
  }
  if (payload.applicationCredentialId) {
    const credential = facts.application_credential
    if (!credential || credential.is_over) return "the application credential is gone"
  }
  const accessToken = facts.access_token ?? null
  if (payload.accessTokenId && !(accessToken && !accessToken.is_over)) return "the access token is gone"
  const { scope } = payload
  const place = facts.project
  if (scope.kind === "project" && !(place && !place.is_domain && place.is_enabled && place.is_domain_enabled))
    return "the project is gone or disabled"
  if (scope.kind === "domain" && !(place?.is_domain && place.is_enabled))
    return "the domain is gone or disabled"
  const roles = rolesOf(facts)
  if (scope.kind !== "unscoped" && roles.length === 0) return "the user has no role in the scope"
  const stands = facts.trust?.is_impersonation && trustor ? trustor : user
  return {
    id,
    payload,
    user: stands,
    project: scope.kind === "project" ? place : null,
    domain: scope.kind === "domain" ? place : null,
    isSystem: scope.kind === "system",
    roles,
    trust: facts.trust,
    applicationCredential: facts.application_credential,
    accessToken,
  }
}

/** Whether the user may log in at all. */
export function isActive(person: PersonFacts): boolean {
  return person.is_enabled && person.is_domain_enabled
}

function trustFlaw(payload: TokenPayload, { trust, trustor, roles }: TokenFacts): string | null {
  if (!trust || trust.is_over) return "the trust is gone"
  if (trust.trustee_user_id !== payload.userId) return "the trust is another user's"
  if (!trustor || !isActive(trustor)) return "the trustor is gone or disabled"
  const held = new Set(roles.map((role) => role.id))
  if (trust.role_ids.some((id) => !held.has(id))) return "the trustor lost a role of the trust"
  return null
}

/** A trust, an application credential or an access token narrows the roles to its own and what they imply; it never widens them. */
function rolesOf(facts: TokenFacts): RoleRef[] {
  const own = facts.trust?.role_ids ?? facts.application_credential?.role_ids ?? facts.access_token?.role_ids
  if (!own) return facts.roles
  const wanted = new Set(own)
  return facts.roles.filter((role) => wanted.has(role.id))
}

export function callerOf(token: Token): Caller {
  const { user, project, domain, payload } = token
  return {
    userId: user.id,
    userName: user.name,
    userDomainId: user.domain_id,
    userDomainName: user.domain_name,
    projectId: project?.id ?? null,
    projectName: project?.name ?? null,
    projectDomainId: project?.domain_id ?? null,
    projectDomainName: project?.domain_name ?? null,
    isAdminProject: true,
    domainId: domain?.id ?? null,
    domainName: domain?.name ?? null,
    systemScope: token.isSystem ? "all" : null,
    roles: token.roles.map((role) => role.name),
    roleIds: token.roles.map((role) => role.id),
    token: {
      id: token.id,
      auditIds: payload.auditIds,
      methods: payload.methods,
      expiresAt: new Date(payload.expiresAtMs),
      issuedAt: new Date(payload.issuedAtMs),
      trustId: payload.trustId,
      trustorUserId: token.trust?.trustor_user_id ?? null,
      applicationCredentialId: payload.applicationCredentialId,
      accessTokenId: payload.accessTokenId,
      isRestricted: token.applicationCredential !== null && !token.applicationCredential.is_unrestricted,
    },
  }
}
