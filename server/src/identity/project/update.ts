import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { columnsOf } from "../../platform/noun/field.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeOrConflict } from "../change.ts"
import { conflict, forbidden, found, notFound, projectNameTaken } from "../faults.ts"
import { changeOptions, placeOptions, refuseImmutable } from "../options.ts"
import { everyone, find, lock, nextGeneration, withExtra } from "../read.ts"
import { type Project, type ProjectChanges, projectNoun, projectTarget } from "./project.ts"
import { listAncestors, listDescendants } from "./read.ts"

export const updateProject = operation({
  name: "identity.project.update",
  input: Type.Object({ id: Type.String(), changes: projectNoun.changes }),
  faults: [notFound, conflict, forbidden],
  load: (ctx, { id }) => find(ctx.db, projectNoun, id),
  rule: "identity:update_project",
  target: (_ctx, _input, project) => projectTarget(project),
  run: async (ctx, { id, changes }, project): Promise<Project> => {
    found(project, "project", id)
    return await changeOrConflict(
      ctx,
      () => projectNameTaken(changes.name),
      async (tx) => {
        const before = found(await lock(tx, projectNoun, id), "project", id)
        refuseMove(before, changes)
        refuseImmutable("project", before, "update", changes.options)
        if (changes.isEnabled !== undefined && changes.isEnabled !== before.isEnabled)
          await checkSwitch(tx, before, changes.isEnabled)
        return await savePlace(ctx, tx, before, changes)
      },
    )
  },
})

function refuseMove(before: Project, { domainId, parentId, isDomain }: ProjectChanges): void {
  if (domainId !== undefined && domainId !== before.domainId)
    throw invalid("domain_id", "Cannot change Domain ID.")
  if (parentId !== undefined && parentId !== before.parentId)
    throw forbidden("Update of `parent_id` is not allowed.")
  if (isDomain !== undefined && isDomain !== before.isDomain)
    throw invalid("is_domain", "Update of `is_domain` is not allowed.")
}

/** A branch is disabled from its leaves up, and enabled from the top down. */
async function checkSwitch(tx: Tx, before: Project, isEnabled: boolean): Promise<void> {
  if (isEnabled) {
    const above = await listAncestors(tx, before.id)
    if (above.some((place) => !place.isDomain && !place.isEnabled))
      throw forbidden(`Cannot enable project ${before.id} since it has disabled parents.`)
    return
  }
  if (before.isDomain) return
  const below = await listDescendants(tx, before.id)
  if (below.some((place) => place.isEnabled))
    throw forbidden(`Cannot disable project ${before.id} since its subtree contains enabled projects.`)
}

/** Of a project or a domain that is locked. */
export async function savePlace(
  ctx: Ctx,
  tx: Tx,
  before: Project,
  changes: ProjectChanges,
): Promise<Project> {
  const after = await saveFacts(tx, before, changes)
  const noun = before.isDomain ? "domain" : "project"
  await announce(ctx, tx, noun, "updated", before.id)
  if (before.isEnabled && !after.isEnabled) await announce(ctx, tx, noun, "disabled", before.id)
  return after
}

/** The same without telling of it. */
export async function saveFacts(tx: Tx, before: Project, changes: ProjectChanges): Promise<Project> {
  const facts = {
    ...changes,
    name: changes.name?.trim(),
    description: changes.description === null ? "" : changes.description,
    options: changeOptions(placeOptions, before.options, changes.options),
  }
  const set = { ...columnsOf(withExtra(facts)), ...nextGeneration }
  return found(await updateThing(tx, projectNoun, everyone, before.id, set), "project", before.id)
}
