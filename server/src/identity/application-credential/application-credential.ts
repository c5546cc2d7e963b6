// A password for a program: it stands for its user on one project with some of the user's roles.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import { boolean, field, inputOnly, nullable, structure, text, time } from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { missingOf } from "../faults.ts"
import { idField, textField } from "../read.ts"
import { ResourceName, Text } from "../shapes.ts"

const RoleRef = Type.Object({
  id: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
  domainId: Type.Optional(Type.String()),
})
const AccessRule = Type.Object({
  id: Type.Optional(Type.String()),
  service: Type.Optional(Type.String({ maxLength: 64 })),
  path: Type.Optional(Type.String({ maxLength: 255, pattern: "^/" })),
  method: Type.Optional(
    Type.Unsafe<string>({ type: "string", enum: ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] }),
  ),
})

export type AccessRuleInput = Static<typeof AccessRule>

interface ShownRole {
  id: string
  name: string
  domain_id: string | null
  description: string | null
  options: object
}

interface ShownRule {
  id: string
  service: string
  path: string
  method: string
}

export const applicationCredentialNoun = noun({
  name: "identity.application_credential",
  table: sql`identity.application_credential`,
  alias: "c",
  fields: {
    id: idField("c"),
    name: field("text", ResourceName, sql`c.name`, { create: "required", filter: true }),
    description: textField(sql`c.description`),
    userId: text(sql`c.user_id`, { create: "required", filter: true }),
    projectId: text(sql`c.project_id`),
    secret: inputOnly(Text, { create: true }),
    secretHash: text(sql`c.secret_hash`, { internal: true }),
    /** With the microseconds that a Date has not, and without a zone, as Keystone shows this one. */
    expiresAt: field(
      "text",
      Text,
      sql`to_char(c.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')`,
      {
        create: true,
      },
    ),
    endsAt: nullable(time(sql`c.expires_at`, { internal: true })),
    isUnrestricted: boolean(sql`c.is_unrestricted`, { create: true, name: "unrestricted" }),
    roles: structure(
      Type.Unsafe<ShownRole[]>(Type.Array(Type.Object({}))),
      sql`(select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'name', r.name, 'domain_id', r.domain_id,
          'description', r.description, 'options', r.options) order by r.name), '[]')
        from identity.application_credential_role a join identity.role r on r.id = a.role_id
        where a.application_credential_id = c.id)`,
      { create: true, input: Type.Array(RoleRef) },
    ),
    accessRules: structure(
      Type.Unsafe<ShownRule[]>(Type.Array(Type.Object({}))),
      sql`(select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'service', r.service, 'path', r.path,
          'method', r.method) order by r.id), '[]')
        from identity.application_credential_access_rule a join identity.access_rule r on r.id = a.access_rule_id
        where a.application_credential_id = c.id)`,
      { create: true, input: Type.Array(AccessRule) },
    ),
    createdAt: time(sql`c.created_at`, { internal: true }),
  },
  visible: () => visibleToAll,
  ...missingOf("application credential"),
})

export type ApplicationCredential = Thing<typeof applicationCredentialNoun>
