// The verbs that are the same for every noun: get one thing, list those that the caller sees.
import { Type } from "typebox"
import type { Ctx } from "../context/context.ts"
import { type Operation, operation } from "../operation/operation.ts"
import type { PolicyTarget } from "../policy/rule.ts"
import type { Fields, ThingOf } from "./field.ts"
import { findThing, ListQuery } from "./list.ts"
import type { Noun } from "./noun.ts"
import { type Listed, listPage } from "./page.ts"

export const ThingInput = Type.Object({ id: Type.String() })
type ThingInput = { id: string }

/** As whom the caller looks, and what operations give of what the database gave. */
interface Looking<V, T> {
  viewer: (ctx: Ctx) => V
  read?: (thing: T) => T
}

/** What is not there, or not for the caller to see, is 404 before any rule is asked: so Nova, Neutron and Glance. */
interface FoundFirst<T> {
  isRefusedFirst?: false
  target?: (thing: T) => PolicyTarget
}

/**
 * The rule is asked also about what is not there, 403 before 404: so Keystone, and all APIs where only administrators
 * look. Whoever the rule refuses learns nothing of what is there.
 */
interface RefusedFirst<T> {
  isRefusedFirst: true
  target?: (thing: T | null) => PolicyTarget
}

/** How one thing is found, by all verbs on one. */
export type Finding<V, T> = Looking<V, T> & (FoundFirst<T> | RefusedFirst<T>)

/** For an operation's `load`: null, where its rule is asked first, for what is not there. */
export function loadOf<F extends Fields, V>(
  of: Noun<F, V>,
  finding: Looking<V, ThingOf<F>> & FoundFirst<ThingOf<F>>,
): (ctx: Ctx, input: ThingInput) => Promise<ThingOf<F>>
export function loadOf<F extends Fields, V>(
  of: Noun<F, V>,
  finding: Finding<V, ThingOf<F>>,
): (ctx: Ctx, input: ThingInput) => Promise<ThingOf<F> | null>
export function loadOf<F extends Fields, V>(
  of: Noun<F, V>,
  { viewer, read, isRefusedFirst }: Finding<V, ThingOf<F>>,
): (ctx: Ctx, input: ThingInput) => Promise<ThingOf<F> | null> {
  return async (ctx, { id }) => {
    const thing = await findThing(ctx.db, of, viewer(ctx), id)
    if (!thing && !isRefusedFirst) throw of.notFound(id)
    if (!thing) return null
    return read ? read(thing) : thing
  }
}

/** For an operation's `target`: of nothing only where the rule is asked about that too. */
export function targetOf<V, T>({ target }: Finding<V, T>) {
  return (_ctx: Ctx, _input: ThingInput, thing: T | null) => target?.(thing as T) ?? {}
}

/** One thing. */
export function getOf<F extends Fields, V>(
  of: Noun<F, V>,
  asked: Finding<V, ThingOf<F>> & { rule: string },
): Operation<ThingInput, ThingOf<F>> {
  return operation<typeof ThingInput, ThingOf<F>, ThingOf<F> | null>({
    name: `${of.name}.get`,
    input: ThingInput,
    faults: [of.notFound],
    load: loadOf(of, asked),
    rule: asked.rule,
    target: targetOf(asked),
    run: async (_ctx, { id }, thing) => {
      if (thing === null) throw of.notFound(id)
      return thing
    },
  })
}

/** The rule is asked about each row, and the list leaves out what it hides: so Neutron. */
interface AboutEach<T> {
  target: (thing: T) => PolicyTarget
  about?: never
}

/** The rule is asked once, before anything is read. */
interface AboutAll {
  about?: (ctx: Ctx) => PolicyTarget
  target?: never
}

interface Listing<V, T> extends Looking<V, T> {
  rule: string
  /** Things of a page at the most; absent: what the wire asks for, which has a bound of its own. */
  most?: (ctx: Ctx) => number
  before?: (ctx: Ctx, query: ListQuery) => Promise<void>
}

/** A page of what the caller sees. */
export function listOf<F extends Fields, V>(
  of: Noun<F, V>,
  asked: Listing<V, ThingOf<F>> & (AboutEach<ThingOf<F>> | AboutAll),
): Operation<ListQuery, Listed<ThingOf<F>>> {
  const { rule, viewer, before, read, most, target, about } = asked
  return operation<typeof ListQuery, Listed<ThingOf<F>>>({
    name: `${of.name}.list`,
    input: ListQuery,
    // The thing that a page begins after.
    faults: of.markerNotFound ? [] : [of.notFound],
    ...(target ? { rowRule: rule } : { rule, ...(about ? { target: about } : {}) }),
    run: async (ctx, query) => {
      await before?.(ctx, query)
      const { items: found, read: extent } = await listPage(ctx.db, of, viewer(ctx), query, most?.(ctx))
      const things = read ? found.map(read) : found
      const items = target
        ? things.filter((thing) => ctx.policy.isAllowed(ctx.caller, rule, target(thing)))
        : things
      return { items, read: extent }
    },
  })
}
