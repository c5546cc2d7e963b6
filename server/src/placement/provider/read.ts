import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import { listThings } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { resourceClassUnknown, traitUnknown } from "../faults.ts"
import { checkResourceClasses } from "../resource-class/resource-class.ts"
import { checkTraits } from "../trait/trait.ts"
import { type Provider, providerNoun } from "./provider.ts"

export const getProvider = getOf(providerNoun, {
  viewer: () => undefined,
  isRefusedFirst: true,
  rule: "placement:resource_providers:show",
})

export const listProviders = operation({
  name: "placement.provider.list",
  input: Type.Object({
    /** By the noun's filters. */
    filters: Type.Record(Type.String(), Type.Array(Type.String())),
    /** Has room for all of it. */
    resources: Type.Record(Type.String(), Type.Integer()),
    /** One of each list. */
    requiredTraits: Type.Array(Type.Array(Type.String())),
    forbiddenTraits: Type.Array(Type.String()),
    /** In one of each list. */
    memberOf: Type.Array(Type.Array(Type.String())),
    notMemberOf: Type.Array(Type.String()),
  }),
  faults: [resourceClassUnknown, traitUnknown],
  rule: "placement:resource_providers:list",
  run: async (ctx, input): Promise<Provider[]> => {
    await checkResourceClasses(
      ctx.db,
      Object.keys(input.resources),
      "Invalid resource class in resources parameter",
    )
    await checkTraits(ctx.db, [...input.requiredTraits.flat(), ...input.forbiddenTraits])
    const also: RawBuilder<boolean>[] = []
    for (const [resourceClass, amount] of Object.entries(input.resources))
      also.push(hasRoom(resourceClass, amount))
    for (const traits of input.requiredTraits) also.push(hasTrait(traits))
    if (input.forbiddenTraits.length > 0) also.push(sql<boolean>`not ${hasTrait(input.forbiddenTraits)}`)
    for (const aggregates of input.memberOf) also.push(isMember(aggregates))
    if (input.notMemberOf.length > 0) also.push(sql<boolean>`not ${isMember(input.notMemberOf)}`)
    return await listThings(ctx.db, providerNoun, undefined, { filters: input.filters, also })
  },
})

const hasRoom = (resourceClass: string, amount: number) => sql<boolean>`exists (
  select from placement.inventory i where i.provider_id = resource_provider.id and i.resource_class = ${resourceClass}
    and i.used + ${amount}::bigint <= i.capacity and ${amount}::bigint between i.min_unit and i.max_unit
    and mod(${amount}::bigint, i.step_size) = 0)`

const hasTrait = (traits: readonly string[]) => sql<boolean>`exists (
  select from placement.provider_trait t
  where t.provider_id = resource_provider.id and t.trait = any(${[...traits]}::text[]))`

const isMember = (aggregates: readonly string[]) => sql<boolean>`exists (
  select from placement.provider_aggregate a
  where a.provider_id = resource_provider.id and a.aggregate_id = any(${[...aggregates]}::uuid[]))`
