// The deletion that is the same for every noun on which nothing stands but what the database takes with it.
import { sql } from "kysely"
import type { Ctx } from "../platform/context/context.ts"
import type { Tx } from "../platform/db/database.ts"
import type { ThingOf } from "../platform/noun/field.ts"
import type { Noun } from "../platform/noun/noun.ts"
import { type Operation, operation } from "../platform/operation/operation.ts"
import type { PolicyTarget } from "../platform/policy/rule.ts"
import { announce, changeIdentity } from "./change.ts"
import { notFound } from "./faults.ts"
import { type Identified, loadOf, type Viewer } from "./read.ts"
import { Id } from "./shapes.ts"

interface Deletion<T> {
  rule: string
  target?: (thing: T | null) => PolicyTarget
  /** The noun's word in the event, as Keystone's. */
  event: string
  /** 404 comes before 403. */
  isLoadedFirst?: boolean
  before?: (ctx: Ctx, tx: Tx, id: string) => Promise<void>
}

export function deleteOf<F extends Identified>(
  of: Noun<F, Viewer>,
  { rule, target = () => ({}), event, isLoadedFirst = false, before }: Deletion<ThingOf<F>>,
): Operation<{ id: string }, void> {
  return operation<typeof Id, void, ThingOf<F> | null>({
    name: `${of.name}.delete`,
    input: Id,
    faults: [notFound],
    load: loadOf(of, isLoadedFirst),
    rule,
    target: (_ctx, _input, thing) => target(thing),
    run: async (ctx, { id }, thing) => {
      if (thing === null) throw of.notFound(id)
      await changeIdentity(ctx, async (tx) => {
        await before?.(ctx, tx, id)
        await sql`delete from ${of.table} where id = ${id}`.execute(tx)
        await announce(ctx, tx, event, "deleted", id)
      })
    },
  })
}
