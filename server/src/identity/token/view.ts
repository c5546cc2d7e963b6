// A token as the client reads it. The catalog is put in as text that was made once for the project.
import type { Platform } from "../../platform/context/context.ts"
import { type CatalogService, catalogJson, readCatalog } from "../catalog/catalog.ts"
import type { KnownToken } from "./cache.ts"
import type { PersonFacts, ProjectFacts } from "./facts.ts"
import type { Token } from "./token.ts"

/** `2026-01-31T12:00:00.000000Z` */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`
}

/** Keystone shows the end of a password without a zone. */
function passwordEnd(text: string | null): string | null {
  return text === null ? null : timeText(Date.parse(text)).slice(0, -1)
}

export async function tokenJson(
  platform: Platform,
  known: KnownToken,
  options: { isCatalogWanted: boolean },
): Promise<string> {
  known.json ??= JSON.stringify(viewToken(known.token))
  const { token } = known
  if (!options.isCatalogWanted || token.payload.scope.kind === "unscoped") return `{"token":${known.json}}`
  const catalog = await catalogJson(platform, {
    userId: token.user.id,
    projectId: token.project?.id ?? null,
  })
  return `{"token":${known.json.slice(0, -1)},"catalog":${catalog}}}`
}

function place(facts: ProjectFacts) {
  return { domain: { id: facts.domain_id, name: facts.domain_name }, id: facts.id, name: facts.name }
}

function person(facts: PersonFacts) {
  return {
    domain: { id: facts.domain_id, name: facts.domain_name },
    id: facts.id,
    name: facts.name,
    password_expires_at: passwordEnd(facts.password_expires_at),
  }
}

function viewToken(token: Token): Record<string, unknown> {
  const { payload, trust, applicationCredential: credential, accessToken } = token
  const view: Record<string, unknown> = {
    methods: payload.methods,
    user: person(token.user),
    audit_ids: payload.auditIds,
    expires_at: timeText(payload.expiresAtMs),
    issued_at: timeText(payload.issuedAtMs),
  }
  if (token.isSystem) view.system = { all: true }
  if (token.domain) view.domain = { id: token.domain.id, name: token.domain.name }
  if (token.project) {
    view.project = place(token.project)
    view.is_domain = token.project.is_domain
  }
  if (payload.scope.kind !== "unscoped") view.roles = token.roles
  if (trust) {
    view["OS-TRUST:trust"] = {
      id: trust.id,
      trustor_user: { id: trust.trustor_user_id },
      trustee_user: { id: trust.trustee_user_id },
      impersonation: trust.is_impersonation,
    }
  }
  if (credential) {
    view.application_credential = {
      id: credential.id,
      name: credential.name,
      restricted: !credential.is_unrestricted,
      ...(credential.access_rules.length > 0 ? { access_rules: credential.access_rules } : {}),
    }
  }
  if (accessToken)
    view["OS-OAUTH1"] = { access_token_id: accessToken.id, consumer_id: accessToken.consumer_id }
  return view
}

/** The catalog of a token as data, for wires that show it in another form. */
export async function readTokenCatalog(platform: Platform, { token }: KnownToken): Promise<CatalogService[]> {
  return await readCatalog(platform, { userId: token.user.id, projectId: token.project?.id ?? null })
}
