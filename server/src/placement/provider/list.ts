import { type RawBuilder, type Selectable, sql } from "kysely"
import { Type } from "typebox"
import { isUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { resourceClassUnknown, traitUnknown } from "../faults.ts"
import { checkResourceClasses } from "../resource-class/classes.ts"
import type { ResourceProviderTable } from "../tables.ts"
import { checkTraits } from "../trait/traits.ts"
import type { Provider } from "./provider.ts"
import { toProvider } from "./store.ts"

export const listProviders = operation({
  name: "placement.provider.list",
  input: Type.Object({
    id: Type.Optional(Type.String()),
    name: Type.Optional(Type.String()),
    /** All of the tree that this provider is in. */
    inTreeOf: Type.Optional(Type.String()),
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
    const where: RawBuilder<unknown>[] = [sql`true`]
    if (input.id !== undefined) where.push(isUuid(input.id) ? sql`p.id = ${input.id}` : sql`false`)
    if (input.name !== undefined) where.push(sql`p.name = ${input.name}`)
    if (input.inTreeOf !== undefined)
      where.push(
        sql`p.root_id = (select root_id from placement.resource_provider where id = ${input.inTreeOf})`,
      )
    for (const [resourceClass, amount] of Object.entries(input.resources))
      where.push(hasRoom(resourceClass, amount))
    for (const traits of input.requiredTraits) where.push(hasTrait(traits))
    if (input.forbiddenTraits.length > 0) where.push(sql`not ${hasTrait(input.forbiddenTraits)}`)
    for (const aggregates of input.memberOf) where.push(isMember(aggregates))
    if (input.notMemberOf.length > 0) where.push(sql`not ${isMember(input.notMemberOf)}`)
    const found = await sql<Selectable<ResourceProviderTable>>`
      select p.* from placement.resource_provider p where ${sql.join(where, sql` and `)}
      order by p.created_at, p.id`.execute(ctx.db)
    return found.rows.map(toProvider)
  },
})

const hasRoom = (resourceClass: string, amount: number) => sql`exists (
  select from placement.inventory i where i.provider_id = p.id and i.resource_class = ${resourceClass}
    and i.used + ${amount}::bigint <= i.capacity and ${amount}::bigint between i.min_unit and i.max_unit
    and mod(${amount}::bigint, i.step_size) = 0)`

const hasTrait = (traits: readonly string[]) => sql`exists (
  select from placement.provider_trait t where t.provider_id = p.id and t.trait = any(${[...traits]}::text[]))`

const isMember = (aggregates: readonly string[]) => sql`exists (
  select from placement.provider_aggregate a
  where a.provider_id = p.id and a.aggregate_id = any(${[...aggregates]}::uuid[]))`
