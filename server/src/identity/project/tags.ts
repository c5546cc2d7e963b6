import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { find, lock } from "../read.ts"
import { Tag, Tags } from "../shapes.ts"
import { projectNoun, projectTarget } from "./project.ts"
import { saveFacts, savePlace } from "./update.ts"

const tagsMost = 80

const project = Type.Object({ projectId: Type.String() })
const oneTag = Type.Object({ projectId: Type.String(), tag: Tag })

export const listProjectTags = operation({
  name: "identity.project.list_tags",
  input: project,
  faults: [notFound],
  load: (ctx, { projectId }) => find(ctx.db, projectNoun, projectId),
  rule: "identity:list_project_tags",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (_ctx, { projectId }, row) => found(row, "project", projectId).tags,
})

export const checkProjectTag = operation({
  name: "identity.project.check_tag",
  input: oneTag,
  faults: [notFound],
  load: (ctx, { projectId }) => find(ctx.db, projectNoun, projectId),
  rule: "identity:get_project_tag",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (_ctx, { projectId, tag }, row) => {
    if (!found(row, "project", projectId).tags.includes(tag)) throw notFound("project tag", tag)
  },
})

export const replaceProjectTags = operation({
  name: "identity.project.replace_tags",
  input: Type.Object({ projectId: Type.String(), tags: Tags }),
  faults: [notFound],
  load: (ctx, { projectId }) => find(ctx.db, projectNoun, projectId),
  rule: "identity:update_project_tags",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (ctx, { projectId, tags }) => await saveTags(ctx, projectId, tags),
})

export const clearProjectTags = operation({
  name: "identity.project.clear_tags",
  input: Type.Object({ projectId: Type.String() }),
  faults: [notFound],
  load: (ctx, { projectId }) => find(ctx.db, projectNoun, projectId),
  rule: "identity:delete_project_tags",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (ctx, { projectId }) => {
    await saveTags(ctx, projectId, [])
  },
})

async function saveTags(ctx: Ctx, projectId: string, tags: string[]): Promise<string[]> {
  return await changeIdentity(ctx, async (tx) => {
    const before = found(await lock(tx, projectNoun, projectId), "project", projectId)
    return (await savePlace(ctx, tx, before, { tags })).tags
  })
}

export const addProjectTag = operation({
  name: "identity.project.add_tag",
  input: oneTag,
  faults: [notFound],
  load: (ctx, { projectId }) => find(ctx.db, projectNoun, projectId),
  rule: "identity:create_project_tag",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (ctx, { projectId, tag }) => {
    await changeIdentity(ctx, async (tx) => {
      const before = found(await lock(tx, projectNoun, projectId), "project", projectId)
      if (before.tags.includes(tag)) return
      if (before.tags.length >= tagsMost) throw invalid("tags", `A project has at most ${tagsMost} tags.`)
      await saveFacts(tx, before, { tags: [...before.tags, tag] })
      await announce(ctx, tx, "project tag", "created", tag)
    })
  },
})

export const removeProjectTag = operation({
  name: "identity.project.remove_tag",
  input: oneTag,
  faults: [notFound],
  load: (ctx, { projectId }) => find(ctx.db, projectNoun, projectId),
  rule: "identity:delete_project_tag",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (ctx, { projectId, tag }) => {
    await changeIdentity(ctx, async (tx) => {
      const before = found(await lock(tx, projectNoun, projectId), "project", projectId)
      if (!before.tags.includes(tag)) throw notFound("project tag", tag)
      await saveFacts(tx, before, { tags: before.tags.filter((t) => t !== tag) })
      await announce(ctx, tx, "project tag", "deleted", tag)
    })
  },
})
