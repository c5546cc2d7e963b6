// Changes of an image's record. They come as a list in which each sees what those before it did; all are kept or none.
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { type Authorization, operation } from "../../platform/operation/operation.ts"
import {
  attributeNotChangeable,
  attributeNotRemovable,
  attributeReadOnly,
  attributeReserved,
  imageNotFound,
  limitExceeded,
  locationsHidden,
  ownerNotChangeable,
  propertyExists,
  propertyNotFound,
  tagNotFound,
} from "../faults.ts"
import { checkCounts, checkWritable, isBaseAttribute, setAttribute } from "./attributes.ts"
import { visibilityRuleNames, visibilityRules } from "./create.ts"
import { announceImage } from "./events.ts"
import type { Image } from "./image.ts"
import { imageTarget, isAdmin, lockImage, replaceImage, visibleImage } from "./store.ts"

const Change = Type.Object({
  op: Type.Union([Type.Literal("add"), Type.Literal("replace"), Type.Literal("remove")]),
  /** Public name of an attribute or property. */
  name: Type.String(),
  value: Type.Optional(Type.Unknown()),
  /** `add` of what is there already is refused, as the first patch format of Glance has it. */
  isStrictAdd: Type.Optional(Type.Boolean()),
})
export type ImageChange = Static<typeof Change>

export const updateImage = operation({
  name: "image.image.update",
  input: Type.Object({ imageId: Type.String(), changes: Type.Array(Change) }),
  faults: [
    imageNotFound,
    attributeReadOnly,
    attributeReserved,
    attributeNotRemovable,
    attributeNotChangeable,
    locationsHidden,
    ownerNotChangeable,
    propertyExists,
    propertyNotFound,
    limitExceeded,
  ],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["modify_image", ...visibilityRuleNames],
  authorize: (ctx, { changes }, found) => {
    const target = imageTarget(found)
    const rules: Authorization[] = []
    for (const { name, value, op } of changes) {
      if (name === "locations") throw locationsHidden()
      checkWritable(name)
      if (name === "owner" && op === "replace" && !isAdmin(ctx)) throw ownerNotChangeable()
      if (name === "visibility") rules.push(...visibilityRules(value, target))
    }
    return [...rules, ["modify_image", target]]
  },
  run: async (ctx, { changes }, found) => {
    if (changes.length === 0) return found
    return await change(ctx, found, (draft) => {
      for (const one of changes) apply(draft, one)
    })
  },
})

export const addImageTag = operation({
  name: "image.tag.add",
  input: Type.Object({ imageId: Type.String(), tag: Type.String() }),
  faults: [imageNotFound, limitExceeded],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "modify_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, { tag }, found) =>
    await change(ctx, found, (draft) => {
      draft.tags = [...new Set([...draft.tags, tag])]
    }),
})

export const removeImageTag = operation({
  name: "image.tag.remove",
  input: Type.Object({ imageId: Type.String(), tag: Type.String() }),
  faults: [imageNotFound, tagNotFound],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "modify_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, { tag, imageId }, found) =>
    await change(ctx, found, (draft) => {
      if (!draft.tags.includes(tag)) throw tagNotFound(tag, imageId)
      draft.tags = draft.tags.filter((t) => t !== tag)
    }),
})

/** Applies the change to the newest state: when another request was faster, once more under the row's lock. */
async function change(ctx: Ctx, found: Image, edit: (draft: Image) => void): Promise<Image> {
  const write = async (tx: Tx, image: Image) => {
    const draft = { ...image }
    edit(draft)
    checkCounts(draft, ctx.config.image)
    const updated = await replaceImage(tx, draft, ctx.clock.now())
    if (updated) await announceImage(tx, ctx, "update", updated)
    return updated
  }
  const done = await transact(ctx.db, (tx) => write(tx, found))
  if (done) return done
  return await transact(ctx.db, async (tx) => {
    const newest = await lockImage(tx, found.id)
    const changed = newest && (await write(tx, newest))
    if (!changed) throw imageNotFound(found.id)
    return changed
  })
}

function apply(draft: Image, { op, name, value, isStrictAdd }: ImageChange): void {
  const isBase = isBaseAttribute(name)
  const isThere = isBase || Object.hasOwn(draft.properties, name)
  if (op === "remove") {
    if (isBase) throw attributeNotRemovable(name)
    if (!isThere) throw propertyNotFound(name)
    draft.properties = Object.fromEntries(Object.entries(draft.properties).filter(([key]) => key !== name))
    return
  }
  if (op === "replace" && !isThere) throw propertyNotFound(name)
  if (op === "add" && isThere && isStrictAdd) throw propertyExists(name)
  setAttribute(draft, name, value)
}
