// The verbs that are the same for every noun of the network.
import { type TString, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Abilities, Field, Fields, ThingOf } from "../../platform/noun/field.ts"
import { type Listed, ListQuery, listed, listThings, loadThing } from "../../platform/noun/list.ts"
import type { Noun } from "../../platform/noun/noun.ts"
import { type Operation, operation } from "../../platform/operation/operation.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { type Viewer, viewerOf } from "./viewer.ts"

/** What a rule is asked of a noun, and about what. */
interface Asked<T> {
  rule: string
  target: (thing: T) => PolicyTarget
  /** Before a list is read. */
  before?: (ctx: Ctx, query: ListQuery) => Promise<void>
  /** Of what the database gives as JSON. */
  read?: (thing: T) => T
}

/** Nouns with ids, as all of the network have. */
type Identified = Fields & { readonly id: Field<TString, Abilities, true> }

export const ThingInput = Type.Object({ id: Type.String() })

/** One thing, for who may see it. */
export function getOf<F extends Identified>(
  of: Noun<F, Viewer>,
  { rule, target, read = (thing) => thing }: Asked<ThingOf<F>>,
): Operation<{ id: string }, ThingOf<F>> {
  return operation<typeof ThingInput, ThingOf<F>, ThingOf<F>>({
    name: `${of.name}.get`,
    input: ThingInput,
    faults: [of.notFound],
    load: async (ctx: Ctx, { id }) => read(await loadThing(ctx.db, of, viewerOf(ctx), id)),
    rule,
    target: (_ctx, _input, thing) => target(thing),
    run: async (_ctx, _input, thing) => thing,
  })
}

/** A page of what the caller sees. */
export function listOf<F extends Identified>(
  of: Noun<F, Viewer>,
  { rule, target, before, read }: Asked<ThingOf<F>>,
): Operation<ListQuery, Listed<ThingOf<F>>> {
  return operation<typeof ListQuery, Listed<ThingOf<F>>>({
    name: `${of.name}.list`,
    input: ListQuery,
    // The thing that a page begins after.
    faults: [of.notFound],
    rowRule: rule,
    run: async (ctx: Ctx, query) => {
      await before?.(ctx, query)
      const rows = await listThings(ctx.db, of, viewerOf(ctx), query)
      const things = read ? rows.map(read) : rows
      return listed(things, idOf, (thing) => ctx.policy.isAllowed(ctx.caller, rule, target(thing)))
    },
  })
}

/** What `Identified` says, which TypeScript does not see through the mapped type. */
function idOf<F extends Identified>(thing: ThingOf<F>): string {
  return (thing as { id: string }).id
}
