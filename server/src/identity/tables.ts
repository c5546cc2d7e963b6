// Row types of schema/identity, kept equal to the migrations by hand.
import type { ColumnType, Generated } from "kysely"

type Timestamp = ColumnType<Date, Date | string, Date | string>
type CreatedAt = ColumnType<Date, Date | string | undefined, Date | string>
type NullableTimestamp = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>
export type Json = Record<string, unknown>
/** Written through `jsonb()`, as text. */
type JsonColumn<T = Json> = ColumnType<T, T | undefined, T>

export interface ProjectTable {
  id: string
  name: string
  is_domain: Generated<boolean>
  domain_id: string | null
  parent_id: string | null
  is_enabled: Generated<boolean>
  description: Generated<string>
  tags: Generated<string[]>
  options: JsonColumn
  extra: JsonColumn
  generation: Generated<number>
  created_at: CreatedAt
  updated_at: CreatedAt
}

export interface UserTable {
  id: string
  name: string
  domain_id: string
  is_enabled: Generated<boolean>
  default_project_id: string | null
  options: JsonColumn
  extra: JsonColumn
  token_epoch: Generated<number>
  generation: Generated<number>
  created_at: CreatedAt
  updated_at: CreatedAt
}

export interface LoginStateTable {
  user_id: string
  failed_count: Generated<number>
  failed_at: NullableTimestamp
  last_login_at: NullableTimestamp
}

export interface PasswordTable {
  id: Generated<number>
  user_id: string
  hash: string
  is_self_service: Generated<boolean>
  created_at: CreatedAt
  expires_at: NullableTimestamp
}

export interface GroupTable {
  id: string
  name: string
  domain_id: string
  description: Generated<string>
  extra: JsonColumn
  created_at: CreatedAt
}

export interface GroupMemberTable {
  user_id: string
  group_id: string
}

export interface RoleTable {
  id: string
  name: string
  domain_id: string | null
  description: string | null
  options: JsonColumn
  extra: JsonColumn
  created_at: CreatedAt
}

export interface ImpliedRoleTable {
  prior_role_id: string
  implied_role_id: string
}

export interface AssignmentTable {
  user_id: string | null
  group_id: string | null
  target_kind: "project" | "domain" | "system"
  target_id: string | null
  role_id: string
  is_inherited: Generated<boolean>
  created_at: CreatedAt
}

export interface RegionTable {
  id: string
  parent_region_id: string | null
  description: Generated<string>
  extra: JsonColumn
}

export interface ServiceTable {
  id: string
  type: string
  name: string | null
  description: string | null
  is_enabled: Generated<boolean>
  extra: JsonColumn
  created_at: CreatedAt
}

export type Interface = "public" | "internal" | "admin"

export interface EndpointTable {
  id: string
  service_id: string
  region_id: string | null
  interface: Interface
  url: string
  name: string | null
  is_enabled: Generated<boolean>
  extra: JsonColumn
  created_at: CreatedAt
  seeded_url: string | null
}

export interface EndpointGroupTable {
  id: string
  name: string
  description: string | null
  filters: ColumnType<Record<string, string>, Record<string, string>, Record<string, string>>
}

export interface ProjectEndpointTable {
  project_id: string
  endpoint_id: string
}

export interface ProjectEndpointGroupTable {
  project_id: string
  endpoint_group_id: string
}

export interface CredentialTable {
  id: string
  user_id: string
  project_id: string | null
  type: string
  encrypted_blob: string
  extra: JsonColumn
  created_at: CreatedAt
}

export interface AccessRuleTable {
  id: string
  user_id: string
  service: string | null
  path: string | null
  method: string | null
}

export interface ApplicationCredentialTable {
  id: string
  name: string
  description: string | null
  user_id: string
  project_id: string
  secret_hash: string
  expires_at: NullableTimestamp
  is_unrestricted: Generated<boolean>
  created_at: CreatedAt
}

export interface ApplicationCredentialRoleTable {
  application_credential_id: string
  role_id: string
}

export interface ApplicationCredentialAccessRuleTable {
  application_credential_id: string
  access_rule_id: string
}

export interface TrustTable {
  id: string
  trustor_user_id: string
  trustee_user_id: string
  project_id: string | null
  is_impersonation: boolean
  expires_at: NullableTimestamp
  remaining_uses: number | null
  redelegation_count: Generated<number>
  redelegated_trust_id: string | null
  deleted_at: NullableTimestamp
  extra: JsonColumn
  created_at: CreatedAt
}

export interface TrustRoleTable {
  trust_id: string
  role_id: string
}

export interface RevocationTable {
  audit_id: string
  revoked_at: CreatedAt
  issued_before: Timestamp
  expires_at: Timestamp
}

export interface PolicyTable {
  id: string
  type: string
  blob: string
  extra: JsonColumn
}

export interface PolicyAssociationTable {
  policy_id: string
  endpoint_id: string | null
  service_id: string | null
  region_id: string | null
}

export interface RegisteredLimitTable {
  id: string
  service_id: string
  region_id: string | null
  resource_name: string
  default_limit: number
  description: string | null
}

export interface LimitTable {
  id: string
  registered_limit_id: string
  project_id: string | null
  domain_id: string | null
  resource_limit: number
  description: string | null
}

export interface DomainConfigTable {
  domain_id: string
  section: string
  option: string
  value: ColumnType<unknown, unknown, unknown>
  is_sensitive: Generated<boolean>
}

export interface FernetKeyTable {
  ring: "token" | "receipt" | "credential"
  number: number
  sealed_key: string
  created_at: CreatedAt
  primary_at: NullableTimestamp
}

export interface OauthConsumerTable {
  id: string
  description: string | null
  secret: string
  extra: JsonColumn
}

export interface OauthRequestTokenTable {
  id: string
  consumer_id: string
  secret: string
  project_id: string
  verifier: string | null
  authorizing_user_id: string | null
  role_ids: string[] | null
  expires_at: NullableTimestamp
  created_at: CreatedAt
}

export interface OauthAccessTokenTable {
  id: string
  consumer_id: string
  secret: string
  authorizing_user_id: string
  project_id: string
  role_ids: string[]
  expires_at: NullableTimestamp
  created_at: CreatedAt
}

export interface OauthNonceTable {
  consumer_id: string
  nonce: string
  used_at: Timestamp
}

declare module "../platform/db/database.ts" {
  interface Database {
    "identity.project": ProjectTable
    "identity.user": UserTable
    "identity.login_state": LoginStateTable
    "identity.password": PasswordTable
    "identity.group": GroupTable
    "identity.group_member": GroupMemberTable
    "identity.role": RoleTable
    "identity.implied_role": ImpliedRoleTable
    "identity.assignment": AssignmentTable
    "identity.region": RegionTable
    "identity.service": ServiceTable
    "identity.endpoint": EndpointTable
    "identity.endpoint_group": EndpointGroupTable
    "identity.project_endpoint": ProjectEndpointTable
    "identity.project_endpoint_group": ProjectEndpointGroupTable
    "identity.credential": CredentialTable
    "identity.access_rule": AccessRuleTable
    "identity.application_credential": ApplicationCredentialTable
    "identity.application_credential_role": ApplicationCredentialRoleTable
    "identity.application_credential_access_rule": ApplicationCredentialAccessRuleTable
    "identity.trust": TrustTable
    "identity.trust_role": TrustRoleTable
    "identity.revocation": RevocationTable
    "identity.policy": PolicyTable
    "identity.policy_association": PolicyAssociationTable
    "identity.registered_limit": RegisteredLimitTable
    "identity.limit": LimitTable
    "identity.fernet_key": FernetKeyTable
    "identity.domain_config": DomainConfigTable
    "identity.oauth_consumer": OauthConsumerTable
    "identity.oauth_request_token": OauthRequestTokenTable
    "identity.oauth_access_token": OauthAccessTokenTable
    "identity.oauth_nonce": OauthNonceTable
  }
}
