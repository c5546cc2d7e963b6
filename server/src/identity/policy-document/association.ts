// Which policy document is for which endpoint: by the endpoint, by its service in its region, or by its service.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { type Endpoint, endpointNoun } from "../catalog/endpoint.ts"
import { regionNoun } from "../catalog/region.ts"
import { serviceNoun } from "../catalog/service.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { everyone, find } from "../read.ts"
import { Id } from "../shapes.ts"
import { type PolicyDocument, policyNoun } from "./policy.ts"

const Association = Type.Object({
  policyId: Type.String(),
  endpointId: Type.Optional(Type.String()),
  serviceId: Type.Optional(Type.String()),
  regionId: Type.Optional(Type.String()),
})

interface AssociationKey {
  policyId: string
  endpointId?: string
  serviceId?: string
  regionId?: string
}

function nameOf({ policyId, endpointId, serviceId, regionId }: AssociationKey): string {
  return [policyId, endpointId, serviceId, regionId].filter((id) => id !== undefined).join("/")
}

async function requireParties(ctx: Ctx, key: AssociationKey): Promise<void> {
  found(await find(ctx.db, policyNoun, key.policyId), "policy", key.policyId)
  if (key.endpointId !== undefined)
    found(await find(ctx.db, endpointNoun, key.endpointId), "endpoint", key.endpointId)
  if (key.serviceId !== undefined)
    found(await find(ctx.db, serviceNoun, key.serviceId), "service", key.serviceId)
  if (key.regionId !== undefined) found(await find(ctx.db, regionNoun, key.regionId), "region", key.regionId)
}

function whereKey(key: AssociationKey) {
  return sql<boolean>`endpoint_id is not distinct from ${key.endpointId ?? null}
    and service_id is not distinct from ${key.serviceId ?? null}
    and region_id is not distinct from ${key.regionId ?? null}`
}

/** What a policy can be for; each has its rules. */
function associationVerbs(kind: "endpoint" | "service" | "region_and_service") {
  const noun = `identity.policy_association_for_${kind}`
  return {
    /** A place has one policy: another one takes its place. */
    create: operation({
      name: `${noun}.create`,
      input: Association,
      faults: [notFound],
      rule: `identity:create_policy_association_for_${kind}`,
      run: async (ctx, key) => {
        await requireParties(ctx, key)
        await changeIdentity(ctx, async (tx) => {
          await sql`insert into identity.policy_association (policy_id, endpoint_id, service_id, region_id)
        values (${key.policyId}, ${key.endpointId ?? null}, ${key.serviceId ?? null}, ${key.regionId ?? null})
        on conflict on constraint policy_association_once do update set policy_id = excluded.policy_id`.execute(
            tx,
          )
          await announce(ctx, tx, "policy_association", "created", nameOf(key))
        })
      },
    }),
    check: operation({
      name: `${noun}.check`,
      input: Association,
      faults: [notFound],
      rule: `identity:check_policy_association_for_${kind}`,
      run: async (ctx, key) => {
        await requireParties(ctx, key)
        const row = await ctx.db
          .selectFrom("identity.policy_association")
          .select("policy_id")
          .where("policy_id", "=", key.policyId)
          .where(whereKey(key))
          .executeTakeFirst()
        if (!row) throw notFound("policy association", key.policyId)
      },
    }),
    remove: operation({
      name: `${noun}.delete`,
      input: Association,
      faults: [notFound],
      rule: `identity:delete_policy_association_for_${kind}`,
      run: async (ctx, key) => {
        await requireParties(ctx, key)
        await changeIdentity(ctx, async (tx) => {
          await tx
            .deleteFrom("identity.policy_association")
            .where("policy_id", "=", key.policyId)
            .where(whereKey(key))
            .execute()
          await announce(ctx, tx, "policy_association", "deleted", nameOf(key))
        })
      },
    }),
  }
}

export const policyAssociations = {
  endpoint: associationVerbs("endpoint"),
  service: associationVerbs("service"),
  region_and_service: associationVerbs("region_and_service"),
}

/** Each endpoint with its policy by the nearest rule; the region's parents come after the region itself. */
const ruling = sql`
  with recursive place as (
    select e.id as endpoint_id, e.service_id, e.region_id, 0 as depth from identity.endpoint e
    union all
    select p.endpoint_id, p.service_id, r.parent_region_id, p.depth + 1
    from place p join identity.region r on r.id = p.region_id where r.parent_region_id is not null
  ),
  ruled as (
    select distinct on (endpoint_id) endpoint_id, policy_id from (
      select a.endpoint_id, a.policy_id, -1 as rank from identity.policy_association a where a.endpoint_id is not null
      union all
      select p.endpoint_id, a.policy_id, p.depth
      from place p join identity.policy_association a on a.service_id = p.service_id and a.region_id = p.region_id
      union all
      select e.id, a.policy_id, 1000000 from identity.endpoint e
      join identity.policy_association a on a.service_id = e.service_id and a.region_id is null
    ) found order by endpoint_id, rank
  )`

export const listPolicyEndpoints = operation({
  name: "identity.policy.list_endpoints",
  input: Id,
  faults: [notFound],
  rule: "identity:list_endpoints_for_policy",
  run: async (ctx, { id }): Promise<Endpoint[]> => {
    found(await find(ctx.db, policyNoun, id), "policy", id)
    const ruled = sql<boolean>`e.id in (${ruling} select endpoint_id from ruled where policy_id = ${id})`
    return await listThings(ctx.db, endpointNoun, everyone, { also: [ruled] })
  },
})

export const getEndpointPolicy = operation({
  name: "identity.policy.get_of_endpoint",
  input: Id,
  faults: [notFound],
  rule: "identity:get_policy_for_endpoint",
  run: async (ctx, { id }): Promise<PolicyDocument> => {
    found(await find(ctx.db, endpointNoun, id), "endpoint", id)
    const itsOwn = sql<boolean>`p.id in (${ruling} select policy_id from ruled where endpoint_id = ${id})`
    const [policy] = await listThings(ctx.db, policyNoun, everyone, { also: [itsOwn] })
    return found(policy, "policy for endpoint", id)
  },
})
