import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { type Authorization, operation } from "../../platform/operation/operation.ts"
import { enforceQuota } from "../../quota/index.ts"
import {
  attributeReadOnly,
  attributeReserved,
  imageIdTaken,
  limitExceeded,
  ownerNotYours,
} from "../faults.ts"
import { imageQuota } from "../quota.ts"
import { checkCounts, checkCreatable, setAttribute } from "./attributes.ts"
import { announceImage } from "./events.ts"
import type { Image } from "./image.ts"
import { insertImage, isGone } from "./store.ts"

const input = Type.Object({
  /** Attributes and properties under their public names. */
  attributes: Type.Record(Type.String(), Type.Unknown()),
})

/** Whoever lets others see an image needs more. */
export const visibilityRuleNames = ["publicize_image", "communitize_image"]

/** A new image without data. */
export const addImage = operation({
  name: "image.image.create",
  input,
  faults: [attributeReadOnly, attributeReserved, imageIdTaken, limitExceeded, ownerNotYours],
  load: async (ctx, { attributes }) => draftOf(ctx, attributes),
  rules: ["add_image", ...visibilityRuleNames],
  authorize: (ctx, _input, draft) => {
    const target = {
      project_id: draft.projectId,
      owner: draft.projectId,
      visibility: draft.visibility,
    }
    if (draft.projectId !== ctx.caller.projectId && !ctx.policy.isAllowed(ctx.caller, "add_image", target))
      throw ownerNotYours(String(draft.projectId))
    return [["add_image", target], ...visibilityRules(draft.visibility, target)]
  },
  run: async (ctx, { attributes }, draft) => {
    checkCounts(draft, ctx.config.image)
    return await transact(ctx.db, async (tx) => {
      const { projectId } = draft
      if (projectId !== null) {
        await enforceQuota(ctx, tx, imageQuota, { projectId, add: { image_count_total: 1 } })
      }
      const image = await insertImage(tx, draft, ctx.clock.now())
      // After it: the row has waited for one of that id that was being deleted.
      if ("id" in attributes && (await isGone(tx, image.id))) throw imageIdTaken(image.id)
      await announceImage(tx, ctx, "create", image)
      return image
    })
  },
})

/** Who wants an image seen by all needs more than the right to change it. */
export function visibilityRules(
  visibility: unknown,
  target: Readonly<Record<string, unknown>>,
): Authorization[] {
  if (visibility === "public") return [["publicize_image", target]]
  if (visibility === "community") return [["communitize_image", target]]
  return []
}

export function draftOf(ctx: Ctx, attributes: Readonly<Record<string, unknown>>): Image {
  const now = ctx.clock.now()
  const draft: Image = {
    id: newUuid(),
    projectId: ctx.caller.projectId,
    name: null,
    status: "queued",
    visibility: "shared",
    diskFormat: null,
    containerFormat: null,
    sizeBytes: null,
    virtualSizeBytes: null,
    minDiskGib: 0,
    minRamMib: 0,
    isProtected: false,
    isHidden: false,
    checksum: null,
    osHashAlgo: null,
    osHashValue: null,
    properties: {},
    tags: [],
    contentProblem: null,
    readChecksum: null,
    places: [],
    generation: 0,
    createdAt: now,
    updatedAt: now,
    memberId: null,
  }
  for (const [name, value] of Object.entries(attributes)) {
    checkCreatable(name)
    if (name === "id") draft.id = readId(value)
    else setAttribute(draft, name, value)
  }
  return draft
}

function readId(value: unknown): string {
  if (typeof value === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value))
    return value.toLowerCase()
  throw new Fault("invalid", "request.invalid", "Attribute 'id' must be a UUID with dashes.", {
    detail: { field: "id" },
  })
}
