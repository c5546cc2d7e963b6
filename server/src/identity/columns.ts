// What the columns hold, where the database knows less: shapes of jsonb, words. tables.ts is generated with it.
export type Json = Record<string, unknown>

export type Interface = "public" | "internal" | "admin"

export interface Columns {
  "project.options": Json
  "project.extra": Json
  "user.options": Json
  "user.extra": Json
  "group.extra": Json
  "role.options": Json
  "role.extra": Json
  "region.extra": Json
  "service.extra": Json
  "endpoint.extra": Json
  "credential.extra": Json
  "trust.extra": Json
  "policy.extra": Json
  "oauth_consumer.extra": Json
  "assignment.target_kind": "project" | "domain" | "system"
  "endpoint.interface": Interface
  "endpoint_group.filters": Record<string, string>
  "fernet_key.ring": "token" | "receipt" | "credential"
}
