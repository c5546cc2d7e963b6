// The deletion that is the same for every noun on which nothing stands but what the database takes with it.
import { sql } from "kysely"
import type { Ctx } from "../platform/context/context.ts"
import type { Tx } from "../platform/db/database.ts"
import type { Fields, ThingOf } from "../platform/noun/field.ts"
import type { Noun } from "../platform/noun/noun.ts"
import { type Finding, loadOf, ThingInput, targetOf } from "../platform/noun/verbs.ts"
import { type Operation, operation } from "../platform/operation/operation.ts"
import { announce, changeIdentity } from "./change.ts"
import { notFound } from "./faults.ts"
import type { Viewer } from "./read.ts"

type Deletion<T> = Finding<Viewer, T> & {
  rule: string
  /** The noun's word in the event, as Keystone's. */
  event: string
  before?: (ctx: Ctx, tx: Tx, id: string) => Promise<void>
}

export function deleteOf<F extends Fields>(
  of: Noun<F, Viewer>,
  asked: Deletion<ThingOf<F>>,
): Operation<{ id: string }, void> {
  const { rule, event, before } = asked
  return operation<typeof ThingInput, void, ThingOf<F> | null>({
    name: `${of.name}.delete`,
    input: ThingInput,
    faults: [notFound],
    load: loadOf(of, asked),
    rule,
    target: targetOf(asked),
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
