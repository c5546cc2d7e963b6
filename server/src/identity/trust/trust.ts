// A trust lets another user act with some of the trustor's roles on one project, and may be passed on a few times.
import { sql } from "kysely"
import { Type } from "typebox"
import {
  boolean,
  field,
  inputOnly,
  integer,
  nullable,
  structure,
  text,
  time,
} from "../../platform/noun/field.ts"
import { noun, objectOf, type Thing } from "../../platform/noun/noun.ts"
import { nullable as orNull } from "../../platform/schema/make.ts"
import { missingOf } from "../faults.ts"
import { everyone, extraField, idField } from "../read.ts"
import { type Role, roleNoun } from "../role/role.ts"
import { Text } from "../shapes.ts"

const RoleRefs = Type.Array(
  Type.Object({ id: Type.Optional(Type.String()), name: Type.Optional(Type.String()) }),
)
/** What is counted down is an `integer` of the database. */
export const usesMost = 2_147_483_647
const live = sql<boolean>`t.deleted_at is null`

export const trustNoun = noun({
  name: "identity.trust",
  table: sql`identity.trust`,
  alias: "t",
  fields: {
    id: idField("t"),
    trustorUserId: text(sql`t.trustor_user_id`, { create: "required", filter: true }),
    trusteeUserId: text(sql`t.trustee_user_id`, { create: "required", filter: true }),
    projectId: nullable(text(sql`t.project_id`, { create: true })),
    isImpersonation: boolean(sql`t.is_impersonation`, { create: "required", name: "impersonation" }),
    /** With the microseconds that a Date has not. */
    expiresAt: field(
      "text",
      Text,
      sql`to_char(t.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
      {
        create: true,
      },
    ),
    endsAt: nullable(time(sql`t.expires_at`, { internal: true })),
    remainingUses: nullable(
      integer(sql`t.remaining_uses`, {
        create: true,
        input: orNull(Type.Integer({ minimum: 1, maximum: usesMost })),
      }),
    ),
    isRedelegationAllowed: inputOnly(orNull(Type.Boolean()), { create: true, name: "allow_redelegation" }),
    redelegationCount: integer(sql`t.redelegation_count`, {
      create: true,
      input: orNull(Type.Integer({ minimum: 0 })),
    }),
    redelegatedTrustId: nullable(text(sql`t.redelegated_trust_id`)),
    roles: structure(
      Type.Unsafe<Role[]>(Type.Array(Type.Object({}))),
      sql`(select coalesce(jsonb_agg(${objectOf(roleNoun, everyone)} order by r.name), '[]')
        from identity.trust_role x join identity.role r on r.id = x.role_id where x.trust_id = t.id)`,
      { create: true, input: RoleRefs },
    ),
    extra: extraField("t"),
    createdAt: time(sql`t.created_at`, { internal: true }),
  },
  visible: () => ({ row: live, main: live, others: [] }),
  ...missingOf("trust"),
})

export type Trust = Thing<typeof trustNoun>

export function trustTarget({
  trustorUserId,
  trusteeUserId,
}: {
  trustorUserId?: string
  trusteeUserId?: string
}) {
  return { target: { trust: { trustor_user_id: trustorUserId, trustee_user_id: trusteeUserId } } }
}
