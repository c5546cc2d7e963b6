// Metadata of volumes and snapshots: the same verbs for both.
import { Type } from "typebox"
import type { Ctx } from "../platform/context/context.ts"
import { jsonb, transact } from "../platform/db/database.ts"
import type { Fault, FaultDefinition } from "../platform/fault/fault.ts"
import type { Fields, ThingOf } from "../platform/noun/field.ts"
import { updateThing } from "../platform/noun/list.ts"
import type { Noun } from "../platform/noun/noun.ts"
import { operation } from "../platform/operation/operation.ts"
import { inputInvalid, metadataKeyNotFound } from "./faults.ts"
import { everything, targetOf, type Viewer } from "./viewer.ts"

export type Metadata = Readonly<Record<string, string>>

const lengthMost = 255
/** Cinder's own limit of a volume's items. */
const itemsMost = 128

/** Undefined: there is none. Every object has a `constructor`, but not as an item. */
export function itemOf(metadata: Metadata, key: string): string | undefined {
  return Object.hasOwn(metadata, key) ? metadata[key] : undefined
}

export function withoutItem(metadata: Metadata, key: string, missing: () => Fault): Metadata {
  if (itemOf(metadata, key) === undefined) throw missing()
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== key))
}

/** Keys and values are texts of 1 to 255 characters, values may be empty. */
export function checkMetadata(metadata: Metadata): void {
  if (Object.keys(metadata).length > itemsMost)
    throw inputInvalid(`metadata: ${itemsMost} items at the most are kept.`)
  for (const [key, value] of Object.entries(metadata)) {
    if (key.length === 0 || key.length > lengthMost)
      throw inputInvalid(`Metadata property key is of 1 to ${lengthMost} characters.`)
    if (value.length > lengthMost)
      throw inputInvalid(`Metadata property value is of ${lengthMost} characters at the most.`)
  }
}

interface WithMetadata {
  id: string
  projectId: string
  metadata: Metadata
}

interface MetadataOf<T extends WithMetadata> {
  visible: (ctx: Ctx, id: string) => Promise<T>
  /** `Volume` */
  word: string
  rules: { create: string; update: string; delete: string }
  faults: readonly FaultDefinition<[string]>[]
}

/** One noun's. */
export function metadataVerbs<F extends Fields, T extends WithMetadata>(
  of: Noun<F, Viewer>,
  { visible, word, rules, faults }: MetadataOf<T>,
) {
  const keep = async (ctx: Ctx, id: string, change: (now: Metadata) => Metadata): Promise<Metadata> =>
    await transact(ctx.db, async (tx) => {
      // Read again within: two requests at once both count.
      const locked = await updateThing(tx, of, everything, id, { updated_at: ctx.clock.now() })
      // Deleted since it was looked up.
      if (!locked) throw of.notFound(id)
      // The noun has it: see `WithMetadata`.
      const next = change((locked as ThingOf<F> & WithMetadata).metadata)
      checkMetadata(next)
      await updateThing(tx, of, everything, id, { metadata: jsonb(next) })
      return next
    })
  const Given = Type.Object({ id: Type.String(), metadata: Type.Record(Type.String(), Type.String()) })
  const OneKey = Type.Object({ id: Type.String(), key: Type.String() })
  const load = (ctx: Ctx, { id }: { id: string }) => visible(ctx, id)
  const target = (_ctx: Ctx, _input: unknown, thing: T) => targetOf(thing)
  return {
    /** What is named is set; the rest stays. */
    add: operation({
      name: `${of.name}.add_metadata`,
      input: Given,
      faults: [...faults, inputInvalid],
      load,
      rule: rules.create,
      target,
      run: (ctx, { id, metadata }) => keep(ctx, id, (now) => ({ ...now, ...metadata })),
    }),
    /** What is not named goes. */
    replace: operation({
      name: `${of.name}.replace_metadata`,
      input: Given,
      faults: [...faults, inputInvalid],
      load,
      rule: rules.update,
      target,
      run: (ctx, { id, metadata }) => keep(ctx, id, () => metadata),
    }),
    remove: operation({
      name: `${of.name}.remove_metadata`,
      input: OneKey,
      faults: [...faults, metadataKeyNotFound],
      load,
      rule: rules.delete,
      target,
      run: async (ctx, { id, key }) => {
        await keep(ctx, id, (now) => withoutItem(now, key, () => metadataKeyNotFound(word, id, key)))
      },
    }),
  }
}
